"""prompt and teacher-label through a server on loopback, by the commands of dvc.yaml."""

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from akd.errors import InputError
from akd.io import write_table
from akd.models.truncation import excerpts
from akd.prompts import store
from akd.records import CLEAN, FILTERED
from akd.teacher.verification import first_fault
from stages import prompt, teacher_label
from tests.conftest import ROOT, SENTENCES, article, clean_articles
from tests.teacher.completion_server import KEY, MODEL, VOCABULARY, CompletionServer

TASK = Path("data/tasks/mine")


@pytest.fixture
def project(
    teacher_folder: Path, tmp_path: Path, server: CompletionServer, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """What the stages before prompt leave behind, and a server as the engine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    Path("models").mkdir()
    teacher_folder.rename("models/teacher")
    TASK.mkdir(parents=True)
    task = yaml.safe_load((ROOT / "data/tasks/crisis/task.yaml").read_text())
    task["prompt"]["verbalizers"] = [["danger", "advice", "harmless"]]
    (TASK / "task.yaml").write_text(yaml.safe_dump(task))
    names = [label["name"] for label in task["labels"]]
    shots = [{"id": f"n{n}", "label": names[n % 3]} for n in range(6)]
    (TASK / "shots.jsonl").write_text("".join(json.dumps(shot) + "\n" for shot in shots))
    rows = [article(f"n{n}", f"{SENTENCES[n % 5]} {n} {SENTENCES[n % 4]}") for n in range(14)]
    clean = clean_articles(*rows)
    write_table(Path("clean/articles"), clean, CLEAN)
    relevant = clean[6:].with_columns(domain_score=0.5, signal_score=0.5)
    write_table(Path("filtered/articles"), relevant.match_to_schema(FILTERED), FILTERED)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    engine = {
        "kind": "openai",
        "base_url": server.url,
        "model": MODEL,
        "chat": False,
        "top_log_probabilities": VOCABULARY,
        "concurrency": 4,
        "token_budget": 10**6,
        "cost_budget": 1.0,
        "price": 0.5,
        "timeout": 10,
        "retries": 1,
    }
    _set(engine=engine, article_tokens=24)
    return tmp_path


def _set(**label: Any) -> None:
    raw = yaml.safe_load(Path("params.yaml").read_text())
    raw["label"].update(label)
    raw["prompt"].update(budget=5, unlabelled=4)
    raw["prompt"]["calibration"].update(kind="batch", articles=8)
    Path("params.yaml").write_text(yaml.safe_dump(raw))


def _engine(**changes: Any) -> None:
    engine = yaml.safe_load(Path("params.yaml").read_text())["label"]["engine"]
    _set(engine={**engine, **changes})


def _prompt() -> None:
    prompt.main(
        TASK, Path("clean"), Path("filtered"), Path("models"),
        Path("prompt"), Path("p.json"), Path("plots"),
    )  # fmt: skip


def _label() -> None:
    teacher_label.main(
        TASK / "task.yaml", *map(Path, ("filtered", "models", "prompt", "signals", "l.json"))
    )


@pytest.mark.parametrize("chat", [False, True])
def test_a_server_is_the_teacher_of_a_task(
    project: Path, server: CompletionServer, chat: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    _engine(chat=chat)
    _prompt()
    adapted = store.load(Path("prompt"))
    assert {"messages" in body for body in server.bodies} == {chat}
    asked = len(server.bodies)
    _label()
    assert len(server.bodies) == asked  # the calibration has asked about all of them
    assert first_fault(Path("signals")) is None
    assert not Path("signals/hidden").exists()
    frame = pl.read_parquet("signals/scores")
    assert frame["id"].to_list() == [f"n{n}" for n in range(6, 14)]
    metrics = json.loads(Path("l.json").read_text())
    assert (metrics["articles"], metrics["truncated"]) == (8, 8)
    assert "prompt tokens" in capsys.readouterr().err
    texts = pl.read_parquet("filtered/articles")["text"].to_list()
    read = [found.text for found in excerpts(texts, server.tokenizer, 24)]
    shown = [json.dumps(body) for body in server.bodies]
    for text in read:  # the server reads the very words that the student will read
        assert any(
            json.dumps(f"{adapted.prompt.article}{text}{adapted.prompt.cue}")[1:-1] in body
            for body in shown
        )
    written = [path for path in project.rglob("*") if path.is_file()]
    assert not any(KEY in path.read_text("latin-1") for path in written)


def test_what_a_server_has_answered_is_not_asked_again(
    project: Path, server: CompletionServer
) -> None:
    _prompt()
    _label()
    first = {path: path.read_bytes() for path in Path("signals").rglob("*.*")}
    asked = len(server.bodies)
    _engine(concurrency=2, token_budget=10**7)
    _prompt()
    _label()
    assert len(server.bodies) == asked
    assert {path: path.read_bytes() for path in Path("signals").rglob("*.*")} == first


def test_one_budget_is_for_all_prompts_of_a_search(project: Path, server: CompletionServer) -> None:
    _engine(token_budget=600)
    with pytest.raises(InputError, match="the budget of 600 prompt tokens"):
        _prompt()
    assert 4 < len(server.bodies) < 30


def test_one_budget_is_for_all_stages_and_runs(project: Path, server: CompletionServer) -> None:
    _engine(token_budget=600)
    with pytest.raises(InputError, match="the budget of 600 prompt tokens"):
        _prompt()
    asked = len(server.bodies)
    with pytest.raises(InputError, match=r"0 articles were .* tokens in other runs \(.*spent"):
        _prompt()
    assert len(server.bodies) == asked
    _engine(token_budget=10**6)
    _prompt()
    assert len(server.bodies) > asked


def test_a_package_or_key_that_is_missing_is_named(
    project: Path, server: CompletionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(InputError, match="OPENAI_API_KEY is not set"):
        _prompt()
    monkeypatch.setattr("akd.teacher.engine.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'akd\[openai\]'"):
        _prompt()
    assert not server.bodies
