"""Agreement of the two annotations of the crisis task: Cohen's kappa with a bootstrap interval.

python -m benchmarks.agreement
"""

from pathlib import Path

import numpy as np
import typer
from sklearn.metrics import cohen_kappa_score

from akd.console import guard
from akd.evaluate.intervals import draw_rows, interval
from akd.task import load_examples, load_task

TASK = Path("data/tasks/crisis")


def main() -> None:
    """Print the number of articles, the share that agrees, and kappa."""
    names = load_task(TASK / "task.yaml").label_names
    first = {
        example.id: example.label
        for file in ("gold.jsonl", "shots.jsonl")
        for example in load_examples(TASK / file, names)
    }
    second = load_examples(TASK / "second_annotation.jsonl", names)
    pairs = np.array([(names.index(first[e.id]), names.index(e.label)) for e in second])
    draws = draw_rows(len(pairs), 2000, seed=42)
    low, high = interval(lambda rows: float(cohen_kappa_score(*pairs[rows].T)), draws, 0.95)
    print(f"n = {len(pairs)}, agree {(pairs[:, 0] == pairs[:, 1]).mean():.3f}")
    print(f"Cohen's kappa {cohen_kappa_score(*pairs.T):.3f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    guard(lambda: typer.run(main))
