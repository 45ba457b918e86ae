"""bbc-topics in two regimes: zero-shot with batch calibration, and `auto` with 20 shots.

python -m benchmarks.topics
"""

from typing import Any

import typer

from akd.console import guard
from benchmarks.clone import contestants, experiment, fresh_clone, write_result

COMMON = [
    "task=bbc-topics",
    "filter.max_articles=1000",
    "filter.domain.threshold=0",  # every article of this corpus has one of the topics
    "filter.signal.threshold=0",
]
REGIMES = {
    "zero_shot": ["prompt.shots=0", "prompt.calibration.kind=batch"],
    "auto": ["prompt.shots=20", "prompt.calibration.kind=auto"],
}


def main() -> None:
    """Run both regimes and write benchmarks/results/topics.json."""
    result: dict[str, Any] = {"seed": 42, "changes": {}}
    with fresh_clone(shared_cache=True, kept_scores=True) as clone:
        for regime, changes in REGIMES.items():
            report = experiment(clone, [*COMMON, *changes])
            result["changes"][regime] = [*COMMON, *changes]
            result[regime] = {
                **contestants(report),
                "ece": {model: report[model]["ece"] for model in ("teacher", "student", "tfidf")},
            }
    write_result("topics", "python -m benchmarks.topics", result)


if __name__ == "__main__":
    guard(lambda: typer.run(main))
