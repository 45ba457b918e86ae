"""A queue of experiments over families of models and two ranks, then what compares them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import PreTrainedTokenizerFast

from tests.conftest import ROOT
from tests.git import git
from tests.stages import small_project

pytestmark = pytest.mark.slow

Run = Callable[..., str]
"""Runs a command in the project, which must succeed; returns its stdout."""
PAIRS = ("opt", "gpt2", "qwen3", "gemma3")
TWO = ("opt", "qwen3")
SECONDS = 600  # a machine that does other work may take long
RANKS = {"rank-1": 4, "rank-2": 8}
"""As DVC names the experiments of a list of values."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    return small_project.make(tmp_path_factory.mktemp("queue") / "project", tokenizer)


@pytest.fixture(scope="module")
def run(project: Path, warm: Path) -> Iterator[Run]:
    """Run commands where the run of the tiny LLaMA is committed and the queue is done."""
    path = os.pathsep.join([str(warm), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "AKD_WORKERS": "1"}
    environment.pop("DVC_ROOT", None)

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    run("dvc", "repro")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "run")
    for pair in PAIRS:
        run("dvc", "exp", "run", "--queue", "--name", pair, "-S", f"pair={pair}")
    ranks = ",".join(map(str, RANKS.values()))
    run("dvc", "exp", "run", "--queue", "--name", "rank", "-S", f"adapter.r={ranks}")
    try:
        start = ("dvc", "queue", "start", "--jobs", "2")
        # A pipe to it would stay open until the last worker has left, which may take long.
        subprocess.run(start, cwd=project, env=environment, stdout=subprocess.DEVNULL, check=True)
        _wait(run)
        yield run
    finally:
        run("dvc", "queue", "stop", "--kill")


def _wait(run: Run) -> None:
    """Wait until each experiment of the queue has its reference in git, and fail where one fails.

    `dvc queue status` would say so only when the workers have left.
    """
    names, end = set[str](), time.monotonic() + SECONDS
    while not names >= {*PAIRS, *RANKS}:
        names = {name.split("/")[-1] for name in run("git", "for-each-ref", "refs/exps").split()}
        failed = "failed" in names or time.monotonic() > end
        assert not failed, run("dvc", "queue", "status")
        time.sleep(1)


@pytest.fixture(scope="module")
def experiments(run: Run) -> dict[str, Any]:
    """What `dvc exp show` says of the commit, under "main", and of each experiment."""
    *_, commit = json.loads(run("dvc", "exp", "show", "--json"))
    shown = {found["name"]: found["revs"][0]["data"] for found in commit["experiments"]}
    return {"main": commit["data"], **shown}


def _metric(experiment: Any, file: str, *keys: str) -> Any:
    found = experiment["metrics"][f"metrics/{file}.json"]["data"]
    for key in keys:
        found = found[key]
    return found


def test_all_of_the_queue_are_shown_with_their_parameters_and_metrics(
    run: Run, experiments: dict[str, Any]
) -> None:
    assert set(experiments) == {"main", *PAIRS, *RANKS}
    assert [_metric(experiments[pair], "evaluate", "pair") for pair in PAIRS] == list(PAIRS)
    shown = {name: experiments[name]["params"]["params.yaml"]["data"] for name in RANKS}
    assert {name: values["adapter"]["r"] for name, values in shown.items()} == RANKS
    for found in experiments.values():
        assert 0 <= _metric(found, "evaluate", "student", "accuracy") <= 1
    names = ("main", *RANKS)  # of rank 2, 4 and 8, beside a readout that does not grow with it
    two, four, eight = (_metric(experiments[n], "phase-3", "trainable_parameters") for n in names)
    assert eight - four == 2 * (four - two) > 0
    assert run("git", "status", "--porcelain") == ""


def test_a_rank_takes_over_what_the_teacher_has_said(experiments: dict[str, Any]) -> None:
    said = {name: found["outs"]["data/signals"]["hash"] for name, found in experiments.items()}
    assert said["rank-1"] == said["rank-2"] == said["main"]
    assert len({said[name] for name in ("main", *PAIRS)}) == 1 + len(PAIRS)


def test_the_metrics_of_two_pairs_line_up(run: Run, experiments: dict[str, Any]) -> None:
    told = json.loads(run("dvc", "metrics", "diff", *TWO, "--all", "--json"))
    figures = told["metrics/evaluate.json"]
    assert (figures["pair"]["old"], figures["pair"]["new"]) == TWO
    for key in ("student.accuracy", "teacher.macro_f1", "gap.student_minus_teacher.low"):
        found = (_metric(experiments[pair], "evaluate", *key.split(".")) for pair in TWO)
        assert (figures[key]["old"], figures[key]["new"]) == tuple(found)


def test_every_picture_of_the_dag_shows_both_pairs(run: Run, project: Path) -> None:
    dag = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    phases = yaml.safe_load((project / "params.yaml").read_text())["distill"]["phases"]
    declared = {
        name.replace("${key}", phase)
        for stage in dag.values()
        for plot in stage.get("do", stage).get("plots", [])
        for name in plot
        for phase in phases
    }
    shown = json.loads(run("dvc", "plots", "diff", *TWO, "--json"))["data"]
    assert set(shown) == declared
    for [picture] in shown.values():
        assert picture["revisions"] == list(TWO)
        rows = picture["content"]["data"]["values"]
        assert {row["rev"] for row in rows} == set(TWO)
