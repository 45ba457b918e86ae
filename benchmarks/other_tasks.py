"""The whole pipeline on labelled articles from elsewhere, with the parameters that ship.

Each file becomes a task of its own in a fresh clone: twenty articles are its shots, some its gold,
all others stand there without a label. The recipe of the phases was chosen with MasakhaNEWS in
view, and the search for prompts was measured on the English of both. `training` compares students
with the readout in closed form that they begin with, over seeds (benchmarks.distill).

    python -m benchmarks.other_tasks --data FOLDER   # with the files of benchmarks.elsewhere
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml

from akd.console import guard
from akd.corpus.examples import balanced
from akd.errors import InputError
from akd.io import read_json, write_json_lines, write_text
from akd.task import Example, load_task
from benchmarks.clone import (
    contestants,
    experiment,
    fresh_clone,
    last_result,
    run,
    write_result,
)
from benchmarks.elsewhere import LABELS, Rows, labelled_rows
from benchmarks.labelled import DATA, topics_of

SHOTS = 20
CHANGES = (
    "filter.domain.threshold=0",  # every article has one of the labels
    "filter.signal.threshold=0",
    "fetch.max_articles_per_source=10000",
    "clean.min_characters=20",  # posts are short
)


def main(
    data: Annotated[Path, typer.Option(help="Folder of labelled data sets.")],
    gold: Annotated[int, typer.Option(help="Gold articles of a data set at most.")] = 600,
    only: Annotated[str, typer.Option(help="Name of one data set; none means all.")] = "",
    seeds: Annotated[int, typer.Option(help="Students that are compared with a readout.")] = 3,
) -> None:
    """Write benchmarks/results/other_tasks.json."""
    if only and only not in LABELS:
        raise InputError(f"{only} is none of the data sets: {', '.join(LABELS)}")
    result = {name: found for name, found in last_result("other_tasks").items() if name in LABELS}
    line = f"python -m benchmarks.other_tasks --data FOLDER --gold {gold} --seeds {seeds}"
    for name in [only] if only else LABELS:
        rows = labelled_rows(data, name)
        with fresh_clone(shared_cache=True, kept_scores=True) as clone:
            _write_task(clone / DATA / "tasks" / name, name, rows, gold)
            report = experiment(clone, [f"task={name}", *CHANGES])
            result[name] = {"command": f"{line} --only {name}", **contestants(report)}
            write_result("other_tasks", line, result)
            result[name]["training"] = _training(clone, name, seeds)
        write_result("other_tasks", line, result)


def _training(clone: Path, name: str, seeds: int) -> dict[str, Any]:
    """Return the accuracy of readout and student, and how much more often the latter is right."""
    compared = ["--seeds", str(seeds), "--only", "readout,akd"]
    run(clone, [sys.executable, "-m", "benchmarks.distill", *compared])
    found = read_json(clone / "benchmarks" / "results" / "distill.json")[name]
    return {key: found[key] for key in ("readout", "akd", "akd_minus")}


def _write_task(folder: Path, name: str, rows: Rows, gold: int) -> None:
    """Write the folder of a task, whose shots and gold are drawn by chance."""
    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    annotated = [_example(rows[row], LABELS[name]) for row in order]
    shots = balanced(annotated, SHOTS)
    held = {example.id for example in shots}
    rest = [example for example in annotated if example.id not in held]
    for file, examples in {"shots": shots, "gold": rest[:gold]}.items():
        write_json_lines(folder / f"{file}.jsonl", [example.model_dump() for example in examples])
    articles = [{key: row[key] for key in ("id", "title", "text")} for row in rows]
    write_json_lines(folder / "articles" / f"{name}.jsonl", articles)
    write_text(folder / "domains.yaml", yaml.safe_dump({"news": {"keywords": ["news"]}}))
    write_text(folder / "task.yaml", yaml.safe_dump(_task(name, rows), sort_keys=False))


def _example(row: Mapping[str, Any], field: str) -> Example:
    return Example(id=row["id"], label=row[field], title=row["title"], text=row["text"])


def _task(name: str, rows: Rows) -> dict[str, Any]:
    """Return a task of the topics found, or of the crises of the task that ships."""
    crises = load_task(DATA / "tasks" / "crisis" / "task.yaml")
    names = sorted({row[LABELS[name]] for row in rows})
    task = crises if set(names) == set(crises.label_names) else topics_of(names)
    articles = {
        "kind": "files",
        "name": name,
        "paths": [f"{name}.jsonl"],
        "columns": {"id": "id", "title": "title", "text": "text"},
        "domain": "news",
    }
    return {**task.model_dump(mode="json"), "name": name, "sources": [articles]}


if __name__ == "__main__":
    guard(lambda: typer.run(main))
