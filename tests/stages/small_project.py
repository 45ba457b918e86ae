"""The project with five tiny random pairs, two phases and a few dozen articles of a user."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from transformers import PreTrainedTokenizerFast

from tests.conftest import ROOT, SENTENCES, tiny_model
from tests.git import git

TASK = "mine"
PAIRS = ("llama", "opt", "gpt2", "qwen3", "gemma3")
"""Families whose students have another width, depth and padded vocabulary than the teachers.

Students that are cut out of their teachers are those of test_pipeline.py.
"""
TOWNS = ("Ashby", "Corwen", "Dunmore", "Elgin", "Fenwick", "Girvan", "Harlow", "Irvine")
LABELS = ("risk and warning", "caution and advice", "safe and harmless", "risk and warning")
"""What each of the first sentences says."""
SMALL: dict[str, Any] = {
    "task": TASK,
    "pair": "llama",
    "clean.duplicates.similarity": 1.0,  # the articles repeat each other's sentences
    "filter.domain.threshold": 0.0,
    "filter.signal.threshold": 0.0,
    "filter.held_out_similarity": 1.0,
    "prompt.budget": 2,
    "prompt.unlabelled": 4,
    "prompt.calibration.articles": 8,
    "label.article_tokens": 24,
    "adapter.r": 2,
    "evaluate.resamples": 50,
    "signal.articles": 4,
}


def make(folder: Path, tokenizer: PreTrainedTokenizerFast) -> Path:
    """Make the project in a repository of its own, committed and not yet run."""
    for name in ("akd", "stages", ".dvc"):
        ignored = shutil.ignore_patterns("*cache*", "tmp", "config.local")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore", "data/.gitignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "data/adapters").mkdir()
    shutil.copy(ROOT / "data/adapters/.gitignore", folder / "data/adapters/.gitignore")
    models, pairs = {}, {}
    for seed, family in enumerate(PAIRS):
        models[family] = tiny_model(family, seed=seed)
        student = models[f"{family}-student"] = tiny_model(family, layers=2, width=48)
        student.resize_token_embeddings(504)
        pairs[family] = {"teacher": _local(family), "student": _local(f"{family}-student")}
    for name, model in models.items():
        model.save_pretrained(folder / "tiny" / name)
        tokenizer.save_pretrained(folder / "tiny" / name)
    phases = yaml.safe_load((folder / "params.yaml").read_text())["distill"]["phases"]
    two = {"phase-1": phases["phase-1"], "phase-3": {**phases["phase-3"], "init_from": "phase-1"}}
    change(folder / "params.yaml", **SMALL, **{"pairs": pairs, "distill.phases": two})
    _write_task(folder / "data" / "tasks" / TASK)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "small")
    return folder


def _local(name: str) -> dict[str, Any]:
    return {"kind": "local", "path": f"tiny/{name}"}


def change(file: Path, **values: Any) -> None:
    """Set values of a YAML file; the name of a nested one has dots."""
    raw = yaml.safe_load(file.read_text())
    for key, value in values.items():
        *parents, last = key.split(".")
        place = raw
        for parent in parents:
            place = place[parent]
        place[last] = value
    file.write_text(yaml.safe_dump(raw, sort_keys=False))


def _write_task(folder: Path) -> None:
    """Write a task with articles of its own: the labels and prompts of `crisis`."""
    task = yaml.safe_load((ROOT / "data/tasks/crisis/task.yaml").read_text())
    task["sources"] = [
        {
            "kind": "files",
            "name": TASK,
            "paths": ["*.jsonl"],
            "columns": {"id": "id", "text": "text"},
            "domain": "news",
            "language": "en",
        }
    ]
    (folder / "articles").mkdir(parents=True)
    (folder / "task.yaml").write_text(yaml.safe_dump({**task, "name": TASK}))
    (folder / "domains.yaml").write_text("news: {keywords: [storm, water, festival, fire]}")
    texts = [
        (f"{first} {town}. {second}", LABELS[number])
        for (number, first), (town, second) in itertools.product(
            enumerate(SENTENCES[:4]), zip(TOWNS, itertools.cycle(SENTENCES[1:]))
        )
    ]
    rows = [{"id": f"n{n}", "text": text} for n, (text, _) in enumerate(texts)]
    gold = [{"id": f"n{n}", "label": label} for n, (_, label) in enumerate(texts)]
    for name, chosen in (
        ("articles/news", rows),
        ("shots", gold[::8] + gold[1::8]),
        ("gold", gold[2::4]),
    ):
        lines = "".join(json.dumps(row) + "\n" for row in chosen)
        (folder / f"{name}.jsonl").write_text(lines)
