"""Contracts of the house: floors, dependencies of stages, sizes, and what the DAG holds."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from akd.specs.distillation import LossName
from tests.closure import closure, imports
from tests.conftest import ROOT

MODULES = sorted(path for path in (ROOT / "akd").rglob("*.py") if path.name != "__init__.py")
STAGES = sorted(path for path in (ROOT / "stages").glob("*.py") if path.name != "__init__.py")
DAG: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]

FLOORS = [
    {"cli"},
    {"report"},
    {"evaluate", "planning"},
    {"distill"},
    {"teacher"},
    {"prompts"},
    {"models"},
    {"corpus"},
    {"task", "records"},
    {"console"},
    {"clock", "hub"},
    {"io"},
    {"params"},
    {"specs"},
    {"wheels"},
    {"errors"},
]
"""From the roof down: an import goes only downward, or stays in its own room."""


def _room(path: Path) -> str:
    return path.relative_to(ROOT / "akd").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_only_downward(path: Path) -> None:
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    for imported in imports(path, ROOT):
        same_room = _room(imported) == _room(path) and imported.parent != ROOT / "akd"
        assert same_room or floor[_room(imported)] > floor[_room(path)], imported


@pytest.mark.parametrize(
    "path", MODULES + STAGES, ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            start = node.body[0].lineno
            if isinstance(node.body[0], ast.Expr) and len(node.body) > 1:
                start = node.body[1].lineno  # a docstring explains; it does not count
            assert node.end_lineno is not None
            assert node.end_lineno - start < 40, node.name


def _dependencies(stage: dict[str, Any]) -> list[str]:
    return [dep for dep in stage.get("do", stage)["deps"] if dep.endswith(".py") or "akd/" in dep]


@pytest.mark.parametrize("name", sorted(DAG))
def test_a_stage_depends_on_every_module_that_it_reaches(name: str) -> None:
    script = ROOT / "stages" / f"{name.replace('-', '_')}.py"
    declared = _dependencies(DAG[name])
    reached = closure(script, ROOT)
    missing = {m for m in reached if not any(m == d or m.startswith(f"{d}/") for d in declared)}
    assert not missing
    assert all((ROOT / dep).exists() for dep in declared)


@pytest.mark.parametrize("name", sorted(DAG))
def test_a_stage_tracks_the_parameters_that_it_reads(name: str) -> None:
    """Every top-level key that a script takes from params.load() is under its params."""
    tree = ast.parse((ROOT / "stages" / f"{name.replace('-', '_')}.py").read_text())
    top = set(yaml.safe_load((ROOT / "params.yaml").read_text()))
    read = {
        n.attr
        for n in ast.walk(tree)
        if isinstance(n, ast.Attribute)
        and (
            (isinstance(n.value, ast.Name) and n.value.id == "settings")
            or (isinstance(n.value, ast.Call) and ast.unparse(n.value) == "params.load()")
        )
    }
    stage = DAG[name].get("do", DAG[name])
    tracked = {param.split(".")[0] for param in stage.get("params", [])}
    assert (read & top) <= tracked
    assert tracked <= read | {"pair", "pairs"} & top


NOT_READ = {
    ("keywords", "filter"): "domain signal embedding nli question reference_articles"
    " held_out_similarity max_articles",
    ("relevance", "filter"): "expansion held_out_similarity max_articles",
    ("filter", "clean"): "min_characters languages language",
    ("filter", "filter"): "expansion embedding nli question reference_articles",
    ("prompt", "clean"): "min_characters languages language duplicates",
    ("distill", "distill"): "final",
    ("evaluate", "clean"): "min_characters languages language duplicates",
}
"""Keys of a section of which a stage reads others. Of `label` that is all but what is tracked."""


@pytest.mark.parametrize("name", sorted(DAG))
def test_a_stage_that_reads_some_keys_of_a_section_tracks_them_or_says_why_not(name: str) -> None:
    """What is not tracked does not run the stage again: a new key belongs to one side or other."""
    sections = yaml.safe_load((ROOT / "params.yaml").read_text())
    stage = DAG[name].get("do", DAG[name])
    tracked = [param.split(".") for param in stage.get("params", [])]
    for section in {parts[0] for parts in tracked} - {"pairs", "label"}:
        if [section] not in tracked and isinstance(sections[section], dict):
            found = {parts[1] for parts in tracked if parts[0] == section}
            left = set(sections[section]) - found
            assert left == set(NOT_READ.get((name, section), "").split()), section


def test_paths_of_metrics_do_not_hold_the_pair() -> None:
    for stage in DAG.values():
        for metric in stage.get("do", stage)["metrics"]:
            assert "pair" not in str(metric)


def test_every_phase_is_a_stage() -> None:
    from dvc.repo import Repo

    with Repo(ROOT) as repo:
        names = {stage.addressing for stage in repo.index.stages}
    phases = yaml.safe_load((ROOT / "params.yaml").read_text())["distill"]["phases"]
    assert {f"distill@{phase}" for phase in phases} <= names
    assert len(names) == len(DAG) - 1 + len(phases)


@pytest.mark.parametrize("first", ["stages.filter", "akd.io"])
def test_rows_are_summed_in_one_order_in_stages_as_elsewhere(first: str) -> None:
    """MKL heeds what is set before its first product: a stage and a benchmark give equal bits."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MKL_")}
    code = f"import os, {first}; print(os.environ['MKL_CBWR'])"
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, cwd=ROOT, env=own, check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "AUTO,STRICT"


def test_a_stage_collects_garbage_once_it_runs_but_none_of_what_it_has_loaded() -> None:
    main = "lambda: print(gc.isenabled(), gc.get_freeze_count() > 0)"
    code = f"import gc, stages; from akd import console; print(gc.isenabled()); console.run({main})"
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert told.stdout.split() == ["False", "True", "True"]


def test_the_picture_of_the_losses_draws_each_of_them() -> None:
    template = json.loads((ROOT / ".dvc" / "plots" / "losses.json").read_text())
    drawn = template["transform"][0]["fold"]
    assert drawn == ["loss", *get_args(LossName)]
    assert set(drawn) < set(template["data"]["format"]["parse"])
