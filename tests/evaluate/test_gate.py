"""The gate in a throw-away repository: what it lets through, what it stops, what it refuses."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from akd.cli.app import main
from tests.conftest import ROOT
from tests.git import git

STUDENT = {"accuracy": 0.6, "macro_f1": 0.58, "sensitivity": 0.62, "ece": 0.05}
EVALUATE = Path("metrics/evaluate.json")


def _write(student: dict[str, Any], **head: Any) -> None:
    report = {"task": "crisis", "pair": "smollm2", "n": 100, **head, "student": student}
    EVALUATE.write_text(json.dumps(report))


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the shipped parameters and the metrics of one run, committed."""
    folder = tmp_path_factory.mktemp("gate")
    (folder / "metrics").mkdir()
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "dvc.yaml").write_text("metrics: [metrics/evaluate.json]\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        git(Path(), "init", "--quiet", "--initial-branch", "main")
        Repo.init().close()
        _write(STUDENT)
        git(Path(), "add", "--all")
        git(Path(), "commit", "--quiet", "--message", "one run")
    return folder


@pytest.fixture
def repository(committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of it, in which the test may change what it likes."""
    git(Path(), "clone", "--quiet", str(committed), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    return tmp_path / "clone"


Gate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gate:
    """Run `akd gate`; return exit code, stdout and stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["akd", "gate", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(str(ended.value.code)), said.out, said.err

    return run


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, 0),
        ({"accuracy": 0.7, "ece": 0.01}, 0),
        ({"accuracy": 0.58}, 0),  # worse by 0.02, which is let through
        ({"accuracy": 0.579}, 1),
        ({"ece": 0.069}, 0),
        ({"ece": 0.071}, 1),  # here lower is better
    ],
)
def test_worse_is_stopped_and_better_passes(
    repository: Path, gate: Gate, change: dict[str, float], code: int
) -> None:
    _write({**STUDENT, **change})
    assert gate("main")[0] == code


def test_the_larger_of_both_tolerances_counts(repository: Path, gate: Gate) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    rule = {"file": "metrics/evaluate.json", "metric": "student.accuracy", "better": "higher"}
    params["gate"] = [{**rule, "absolute": 0.01, "relative": 0.1}]
    Path("params.yaml").write_text(yaml.safe_dump(params))
    _write({**STUDENT, "accuracy": 0.545})
    assert gate("main")[0] == 0
    _write({**STUDENT, "accuracy": 0.535})
    assert gate("main")[0] == 1


def test_the_verdict_is_a_table_or_json(repository: Path, gate: Gate) -> None:
    _write({**STUDENT, "accuracy": 0.5})
    code, table, _ = gate("main")
    assert code == 1
    assert "student.accuracy" in table
    assert "worse" in table
    code, text, _ = gate("main", "--json")
    report = json.loads(text)
    assert (code, report["base"], report["passed"]) == (1, "main", False)
    verdicts = {rule["metric"]: rule for rule in report["rules"]}
    assert verdicts["student.accuracy"] == {
        "file": "metrics/evaluate.json",
        "metric": "student.accuracy",
        "better": "higher",
        "old": 0.6,
        "new": 0.5,
        "worse": 0.1,
        "allowed": 0.02,
        "passed": False,
    }
    assert verdicts["student.ece"]["passed"] is True


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (math.nan, "is nan, no finite number, in the workspace"),
        (math.inf, "is inf, no finite number, in the workspace"),
        (None, "student.accuracy is absent in the workspace"),
        ("much", "is 'much', no finite number, in the workspace"),
        (True, "is True, no finite number, in the workspace"),
    ],
)
def test_a_figure_that_is_none_is_refused(
    repository: Path, gate: Gate, value: object, told: str
) -> None:
    _write({**STUDENT, "accuracy": value})
    code, out, error = gate("main", "--json")
    assert (code, out) == (2, "")
    assert told in error
    assert len(error.splitlines()) == 1


def test_a_figure_that_the_base_did_not_have_is_refused(repository: Path, gate: Gate) -> None:
    _write({key: value for key, value in STUDENT.items() if key != "ece"})
    git(Path(), "commit", "--quiet", "--all", "--message", "without")
    _write(STUDENT)
    code, _, error = gate("HEAD")
    assert code == 2
    assert "student.ece is absent in HEAD" in error


@pytest.mark.parametrize("text", [None, "{not json"])
def test_a_missing_or_broken_file_is_refused(
    repository: Path, gate: Gate, text: str | None
) -> None:
    if text is None:
        EVALUATE.unlink()
    else:
        EVALUATE.write_text(text)
    code, _, error = gate("main")
    assert code == 2
    assert "metrics/evaluate.json cannot be read in workspace" in error


@pytest.mark.parametrize("key", ["task", "pair"])
def test_another_task_or_pair_is_refused_unless_asked_for(
    repository: Path, gate: Gate, key: str
) -> None:
    _write(STUDENT, **{key: "other"})
    code, _, error = gate("main")
    assert code == 2
    assert "the workspace of 'other': compare two of the same, or pass --across" in error
    assert gate("main", "--across")[0] == 0
    _write({**STUDENT, "accuracy": 0.1}, **{key: "other"})
    assert gate("main", "--across")[0] == 1


def test_metrics_that_do_not_say_their_pair_are_refused(repository: Path, gate: Gate) -> None:
    for message in ("silent", "silent still"):
        EVALUATE.write_text(json.dumps({"task": "crisis", "student": STUDENT, "run": message}))
        git(Path(), "commit", "--quiet", "--all", "--message", message)
    code, _, error = gate("HEAD~1")
    assert code == 2
    assert "no metrics file says of which pair it is" in error


@pytest.mark.parametrize("base", ["nope", "workspace", "0" * 40])
def test_an_unknown_revision_is_refused(repository: Path, gate: Gate, base: str) -> None:
    code, _, error = gate(base)
    assert code == 2
    assert f"git knows no revision '{base}'" in error


def test_a_shallow_clone_is_refused(
    committed: Path, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(
        Path(), "clone", "--quiet", "--depth", "1", f"file://{committed}", str(tmp_path / "shallow")
    )
    monkeypatch.chdir(tmp_path / "shallow")
    code, _, error = gate("main")
    assert code == 2
    assert "this clone is shallow" in error


def test_outside_of_a_repository_it_is_refused(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    code, _, error = gate("main")
    assert code == 2
    assert "this is no DVC repository" in error
    Repo.init(no_scm=True).close()
    code, _, error = gate("main")
    assert code == 2
    assert "DVC runs without git here" in error


def test_the_shipped_rules_name_figures_that_the_evaluation_writes() -> None:
    for rule in yaml.safe_load((ROOT / "params.yaml").read_text())["gate"]:
        figure = json.loads((ROOT / rule["file"]).read_text())
        for part in rule["metric"].split("."):
            figure = figure[part]
        assert isinstance(figure, float)


def test_the_command_line_loads_no_torch() -> None:
    code = "import akd.cli.app, sys; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
