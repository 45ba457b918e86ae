"""`akd predict` on what it cannot answer; what it answers is in test_pipeline.py."""

import json
from pathlib import Path

import pytest
import yaml
from transformers import LlamaConfig

from akd.cli.app import main
from akd.prompts.reading import Reading, save_reading
from akd.prompts.template import Prompt
from akd.task import load_task
from tests.conftest import ROOT

BARE = Prompt(
    chat=False, system="", instruction="", article="Text: ", cue="\nLabel:",
    words=("Good", "Bad"), order=(0, 1), demonstrations=(),
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An article in a file, in a project whose student has learnt the labels of another task."""
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**settings, "task": "crisis"}))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tasks").symlink_to(ROOT / "data" / "tasks")
    save_reading(Reading(BARE, ("good", "bad"), 24), LlamaConfig(), tmp_path / "learnt")
    labels = load_task(ROOT / "data" / "tasks" / "crisis" / "task.yaml").label_names
    save_reading(Reading(BARE, labels, 24), LlamaConfig(), tmp_path / "of-crisis")
    (tmp_path / "new.jsonl").write_text(json.dumps({"text": "A storm is near.", "note": " "}))
    monkeypatch.chdir(tmp_path)
    return Path("new.jsonl")


def _told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *given: str) -> str:
    monkeypatch.setattr("sys.argv", ["akd", "predict", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert not Path("predictions.jsonl").exists()
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--text", "body"), "has no column 'body' (it has text, note): correct"),
        (("--text", "note"), "none of 1 rows is an article: correct --text, or the files"),
        (("--adapter", "learnt"), "learnt has learnt good, bad, but the task crisis has"),
        (("--reasons",), "no phase up to phase-3 teaches reasons: give one the loss `rationale`"),
        (("--adapter", "nowhere"), "nowhere/reading.json does not exist"),
        (("--student", "data", "--adapter", "of-crisis"), "data holds no model: name the folder"),
        (("--out", "data"), "data is a folder: name the file to write"),
        (("--out", "./new.jsonl"), "new.jsonl is one of the files to read"),
    ],
)
def test_what_cannot_be_answered(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    told: str,
) -> None:
    assert told in _told(monkeypatch, capsys, str(file), *options)


def test_a_file_that_is_not_there(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "old.csv matches no file" in _told(monkeypatch, capsys, str(file), "old.csv")
