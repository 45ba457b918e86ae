"""The wall time of a stage: noted when it ends well under DVC, and nowhere else."""

import sys
import time
from pathlib import Path

import pytest

from akd import console
from akd.clock import stage_seconds
from akd.console import PathOption
from akd.errors import InputError


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which DVC runs a stage; in an experiment it is not the repository's root."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("DVC_STAGE", "distill@phase-1")
    monkeypatch.setattr(sys, "argv", ["stage", "--out", "there"])
    return tmp_path


def _sleeps(out: PathOption) -> None:
    assert out == Path("there")
    time.sleep(0.05)


def _fails(out: PathOption) -> None:
    raise InputError(f"{out} cannot be used")


def _run(stage: object, code: int) -> None:
    with pytest.raises(SystemExit) as ended:
        console.run(stage)  # type: ignore[arg-type]
    assert ended.value.code == code


def test_a_stage_that_ends_well_notes_its_wall_time() -> None:
    assert stage_seconds() == {}
    _run(_sleeps, 0)
    assert list(stage_seconds()) == ["distill@phase-1"]
    assert 0.05 <= stage_seconds()["distill@phase-1"] < 5


def test_a_stage_that_fails_notes_nothing() -> None:
    _run(_fails, 2)
    assert stage_seconds() == {}


def test_a_stage_without_dvc_notes_nothing(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DVC_STAGE")
    _run(_sleeps, 0)
    assert list(repository.iterdir()) == []
