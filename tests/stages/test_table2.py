"""`make table2`: what the experiments change, that the workspace stays, and what the page says.

The DAG here is one stage that makes figures up, so that what is tested is what DVC is asked for.
"""

import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides

from akd import params
from akd.params import Params
from benchmarks import clone, table2
from benchmarks.methods import ABLATIONS, METHODS
from tests.conftest import ROOT
from tests.git import git

MAKEFILE = (ROOT / "Makefile").read_text()
CHANGES = {**METHODS, **ABLATIONS}
STAGE = """\
import json, os, pathlib, yaml
with open(os.path.join(os.environ["DVC_ROOT"], "..", "runs"), "a") as runs:
    runs.write("run ")
settings = yaml.safe_load(open("params.yaml"))
def rated(accuracy):
    figures = dict.fromkeys(["accuracy", "macro_f1", "sensitivity", "specificity"], accuracy)
    interval = {name: {"low": accuracy - 0.1, "high": accuracy + 0.1} for name in figures}
    return {**figures, "interval": interval}
full, topics = settings["adapter"]["kind"] == "full", settings["task"] == "bbc-topics"
models = {"teacher": 0.5, "student_base": 0.3, "student": 0.25 if full else 0.45, "tfidf": 0.4}
report = {name: rated(figure + 0.2 * topics) for name, figure in models.items()}
pathlib.Path("metrics").mkdir(exist_ok=True)
pathlib.Path("metrics/evaluate.json").write_text(json.dumps({"n": 482 + topics, **report}))
"""
DAG = """\
stages:
  evaluate:
    cmd: python stage.py
    deps: [stage.py]
    params: [task, adapter, distill]
    metrics: [metrics/evaluate.json: {cache: false}]
"""


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_dvc_makes_of_the_overrides_what_the_change_makes(name: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    settings = params.load(tmp_path / "params.yaml")
    expected = settings.model_dump(mode="json")
    CHANGES[name](expected)
    told = table2.overrides(settings, CHANGES[name])
    apply_overrides(tmp_path / "params.yaml", told)
    assert params.load(tmp_path / "params.yaml") == Params.model_validate(expected)
    assert bool(told) == (expected != settings.model_dump(mode="json"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose lock and parameters are changed and not committed."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DVC_ROOT")
    monkeypatch.setattr(clone, "ROOT", folder)
    shutil.copy(ROOT / "params.yaml", folder)
    for name, text in (("stage.py", STAGE), ("dvc.yaml", DAG), (".gitignore", "/docs\n")):
        Path(name).write_text(text)
    git(folder, "init", "--quiet")
    Repo.init().close()
    with Repo() as repo:
        repo.reproduce()
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "run")
    _change("params.yaml", seed=7)
    _change("dvc.lock", schema="2.0", stages={})
    Path("mine.txt").write_text("not tracked")
    return folder


def _change(file: str, **values: Any) -> None:
    raw = yaml.safe_load(Path(file).read_text())
    Path(file).write_text(yaml.safe_dump({**raw, **values}))


def _workspace(folder: Path) -> dict[str, Any]:
    files = {
        str(path): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not {".git", ".dvc", "docs"} & set(path.parts)
    }
    status = subprocess.run(["git", "status", "--porcelain"], capture_output=True, check=True)
    return {**files, "": status.stdout}


def _make_table2(monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    """Run the command of the Makefile in this process, on the project of the folder."""
    [command] = re.findall(r"^table2: setup\n\tpython -m (\S+)$", MAKEFILE, re.MULTILINE)
    monkeypatch.setattr("sys.argv", [command, *options])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(command, run_name="__main__")
    assert ended.value.code == 0


@pytest.mark.slow
def test_the_page_holds_the_rows_of_the_experiments(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _workspace(project)
    _make_table2(monkeypatch)
    page = (project / "docs" / "table2.md").read_text()
    crisis, topics = re.findall(r"^## Task .*?(?=^(?:## |- ))", page, re.MULTILINE | re.DOTALL)
    assert "n = 482" in crisis
    assert "n = 483" in topics
    rows = {row.split(" | ")[0]: row.split(" | ")[1:] for row in crisis.splitlines() if "[" in row}
    assert {name: cells[0] for name, cells in rows.items()} == {
        "| teacher": "0.500 [0.400, 0.600]",
        "| student as it is": "0.300 [0.200, 0.400]",
        "| kd": "0.250 [0.150, 0.350]",
        "| **akd**": "0.450 [0.350, 0.550]",
        "| TF-IDF + logistic regression on the teacher's labels": "0.400 [0.300, 0.500]",
    }
    assert "| kd | 0.450 [0.350, 0.550] |" in topics
    assert "with seed 7;" in " ".join(page.split())
    assert "Written by `make table2`" in page
    assert _workspace(project) == before
    runs = (project.parent / "runs").read_text()
    _make_table2(monkeypatch, "--task", "crisis")
    assert (project.parent / "runs").read_text() == runs  # nothing has changed
    page = (project / "docs" / "table2.md").read_text()
    assert "`python -m benchmarks.table2 --task crisis`" in page
    assert "bbc-topics" not in page
    assert json.loads((project / "metrics" / "evaluate.json").read_text())["n"] == 482
