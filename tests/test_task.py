"""Tasks: what is shipped is whole, and every mistake is named."""

import json
from collections import Counter
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from akd.errors import InputError
from akd.task import load_domains, load_examples, load_held_out, load_task
from tests.conftest import ROOT

TASKS = ROOT / "data" / "tasks"


@pytest.mark.parametrize("name", ["crisis", "bbc-topics"])
def test_shipped_tasks_are_whole(name: str) -> None:
    task = load_task(TASKS / name / "task.yaml")
    shots = load_examples(TASKS / name / "shots.jsonl", task.label_names)
    gold = load_examples(TASKS / name / "gold.jsonl", task.label_names)
    assert task.name == name
    assert len(shots) == 20
    assert not {s.id for s in shots} & {g.id for g in gold}
    assert set(Counter(shot.label for shot in shots)) == set(task.label_names)
    assert len(gold) >= {"crisis": 320, "bbc-topics": 500}[name]
    assert min(Counter(example.label for example in gold).values()) >= 60
    assert not any(example.text for example in gold), "no article text is kept in the project"


def test_crisis_gold_has_reasons() -> None:
    labels = load_task(TASKS / "crisis" / "task.yaml").label_names
    gold = load_examples(TASKS / "crisis" / "gold.jsonl", labels)
    assert all(2 <= len(example.reason.split()) <= 15 for example in gold)


def _write(tmp_path: Path, change: dict[str, Any]) -> Path:
    raw = yaml.safe_load((TASKS / "crisis" / "task.yaml").read_text())
    path = tmp_path / "crisis" / "task.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({**raw, **change}))
    return path


def test_an_unknown_task_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="task 'nope' has no .*bbc-topics, crisis"):
        load_task(TASKS / "nope" / "task.yaml")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"sources": []}, "sources: List should have at least 1"),
        ({"labels": []}, "labels: List should have at least 2"),
    ],
)
def test_a_wrong_task_names_the_key(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        load_task(_write(tmp_path, change))


def test_verbalizers_must_fit_the_labels(tmp_path: Path) -> None:
    raw = yaml.safe_load((TASKS / "crisis" / "task.yaml").read_text())
    raw["prompt"]["verbalizers"] = [["good", "good", "bad"]]
    with pytest.raises(InputError, match="one distinct word for each label"):
        load_task(_write(tmp_path, {"prompt": raw["prompt"]}))


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            [{"id": "a", "label": "unheard"}],
            "example 1 has the unknown label 'unheard': use one of",
        ),
        ([{"id": "a", "label": "x"}, {"id": "a", "label": "x"}], "example 2 repeats the id a"),
        ([{"label": "x"}], "example 1: .*id.*Field required"),
    ],
)
def test_wrong_examples_are_named(tmp_path: Path, rows: list[dict[str, str]], told: str) -> None:
    path = tmp_path / "shots.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    with pytest.raises(InputError, match=told):
        load_examples(path, ["x", "y"])


def test_coarse_groups_follow_the_labels() -> None:
    assert load_task(TASKS / "crisis" / "task.yaml").coarse_groups == [0, 0, 1]
    assert load_task(TASKS / "bbc-topics" / "task.yaml").coarse_groups == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("both", [{"id": "g"}, {"text": "the same"}])
def test_no_article_is_among_shots_and_gold(tmp_path: Path, both: dict[str, str]) -> None:
    for name, key in (("shots", "s"), ("gold", "g")):
        row = {"id": key, "label": "a", **both}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row))
    told = next(iter(both.values()))
    with pytest.raises(InputError, match=f"'{told}' is among shots and gold"):
        load_held_out(tmp_path, ["a"])


def _shown(heading: str) -> str:
    """Return the file that docs/own-domain.md shows under a heading."""
    page = (ROOT / "docs" / "own-domain.md").read_text(encoding="utf-8")
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("    ") or not line]
    return dedent("\n".join(lines)).strip() + "\n"


def test_the_documented_domain_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "tickets"
    folder.mkdir()
    (folder / "task.yaml").write_text(_shown("task.yaml"), encoding="utf-8")
    (folder / "domains.yaml").write_text(_shown("domains.yaml"), encoding="utf-8")
    (folder / "shots.jsonl").write_text(_shown("shots.jsonl and gold.jsonl"), encoding="utf-8")
    task, domains = load_task(folder / "task.yaml"), load_domains(folder / "domains.yaml")
    assert [source.domain for source in task.sources] == list(domains)
    assert len(load_examples(folder / "shots.jsonl", task.label_names)) == 2
