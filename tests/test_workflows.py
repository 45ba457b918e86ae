"""What the CI files say, run as they say it in a throw-away repository with its own origin."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from tests.conftest import ROOT
from tests.git import git

DAG = """\
stages:
  evaluate:
    cmd: >-
      mkdir -p metrics data &&
      cp source.json data/predictions && cp source.json metrics/evaluate.json
    deps: [source.json]
    params: [pair]
    outs: [data/predictions]
    metrics: [metrics/evaluate.json: {cache: false}]
"""
STUDENT = {"accuracy": 0.6, "macro_f1": 0.58, "sensitivity": 0.62, "ece": 0.05}


def _bash(folder: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script as both services do: bash stops at the first failure, also within a pipe."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    inherited = {name: value for name, value in os.environ.items() if name != "DVC_ROOT"}
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={**inherited, "PATH": path, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


def _branch(folder: Path, name: str, accuracy: float, *, reproduced: bool = True) -> None:
    """Commit a change of the student's accuracy on a branch of its own."""
    git(folder, "checkout", "--quiet", "-B", name)
    figures = {**STUDENT, "accuracy": accuracy}
    report = {"task": "crisis", "pair": "smollm2", "student": figures}
    (folder / "source.json").write_text(json.dumps(report))
    if reproduced:
        with chdir(folder), Repo() as repo:
            repo.reproduce()
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", name)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with three pull requests, each a branch that starts at main."""
    folder = tmp_path_factory.mktemp("origin")
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "dvc.yaml").write_text(DAG)
    git(folder, "init", "--quiet")
    Repo.init(str(folder)).close()
    _branch(folder, "main", 0.6)
    _branch(folder, "better", 0.7)
    git(folder, "checkout", "--quiet", "main")
    _branch(folder, "worse", 0.5)
    git(folder, "checkout", "--quiet", "main")
    _branch(folder, "stale", 0.9, reproduced=False)
    return folder


@pytest.fixture
def pulled(origin: Path, tmp_path: Path) -> Callable[..., Path]:
    """Clone one branch, as CI checks it out: with the whole history, without DVC's data."""

    def clone(branch: str, *options: str) -> Path:
        folder = tmp_path / "checkout"
        git(origin, "clone", *options, "--branch", branch, f"file://{origin}", str(folder))
        return folder

    return clone


def _read(name: str) -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return value


def _github() -> dict[str, str]:
    """Return the commands of the workflow after those that install, by the name of their step."""
    steps = _read(".github/workflows/gate.yml")["jobs"]["gate"]["steps"]
    commands = {step["name"]: step["run"] for step in steps if "run" in step}
    assert commands.pop("Install").startswith("make setup")
    return commands


def test_an_improvement_passes_every_step(pulled: Callable[..., Path], tmp_path: Path) -> None:
    checkout, summary = pulled("better"), tmp_path / "summary.md"
    environment = {"GITHUB_BASE_REF": "main", "GITHUB_STEP_SUMMARY": str(summary)}
    done = _bash(checkout, "\n".join(_github().values()), **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (checkout / "data" / "predictions").exists()
    rows = [line for line in summary.read_text().splitlines() if "student.accuracy" in line]
    assert [cell.strip() for cell in rows[0].split("|")][3:6] == ["0.6", "0.7", "0.1"]


def test_a_regression_fails_at_the_gate(pulled: Callable[..., Path]) -> None:
    done = _bash(pulled("worse"), _github()["Nothing is worse"], GITHUB_BASE_REF="main")
    assert done.returncode == 1
    assert "student.accuracy" in done.stdout


def test_what_is_not_reproduced_fails_before_the_gate(pulled: Callable[..., Path]) -> None:
    done = _bash(pulled("stale"), _github()["Everything is reproduced"])
    assert done.returncode == 1
    assert "Running stage 'evaluate'" in done.stderr


def test_a_shallow_checkout_fails_at_the_gate(pulled: Callable[..., Path]) -> None:
    checkout = pulled("better", "--depth", "1", "--no-single-branch")
    done = _bash(checkout, _github()["Nothing is worse"], GITHUB_BASE_REF="main")
    assert done.returncode == 2
    assert "this clone is shallow" in done.stderr


def test_the_workflow_checks_out_the_whole_history() -> None:
    workflow = _read(".github/workflows/gate.yml")
    checkout = workflow["jobs"]["gate"]["steps"][0]
    assert checkout["uses"].startswith("actions/checkout@")
    assert checkout["with"]["fetch-depth"] == 0
    assert workflow["jobs"]["gate"]["defaults"]["run"]["shell"] == "bash"
    assert _read(".gitlab-ci.yml")["gate"]["variables"]["GIT_DEPTH"] == "0"


def test_gitlab_runs_the_same_after_it_has_fetched_the_target(
    pulled: Callable[..., Path],
) -> None:
    job, target = _read(".gitlab-ci.yml")["gate"], "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"
    fetch, reproduced, differences, gate = job["script"]
    steps = _github()
    assert reproduced == steps["Everything is reproduced"]
    assert gate.replace(target, "GITHUB_BASE_REF") == steps["Nothing is worse"]
    before = [line for line in job["before_script"] if line != "make setup"]
    checkout = pulled("worse", "--single-branch")
    done = _bash(checkout, "\n".join([*before, fetch, differences]), **{target: "main"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "student.accuracy" in (checkout / "differences.md").read_text()
