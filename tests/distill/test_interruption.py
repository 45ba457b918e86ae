"""A phase that is killed and run again ends in the same bytes; two processes agree."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from transformers import PreTrainedTokenizerFast

from akd.distill.progress import Progress
from tests.conftest import ROOT, adapter_spec, tiny_model
from tests.distill.tiny_phase import phase_of, run_tiny

pytestmark = pytest.mark.slow
PROGRAM = "tests.distill.tiny_phase"


def _start(folder: Path, *launcher: str, told: int | None = None) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", *launcher, PROGRAM, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=told)


def _outputs(folder: Path) -> dict[str, bytes]:
    files = [*(folder / "phase").iterdir(), folder / "curve.csv", folder / "domains.csv"]
    return {file.name: file.read_bytes() for file in files}


def _wait_for(folder: Path, checkpoint: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        kept = [int(path.name.split("-")[1]) for path in folder.glob("checkpoints/checkpoint-*")]
        if max(kept, default=0) >= checkpoint:
            return
        time.sleep(0.002)


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast
) -> dict[str, bytes]:
    """What a run that nothing disturbs leaves."""
    folder = _folder(tmp_path_factory.mktemp("whole"), tokenizer)
    assert _start(folder).wait() == 0
    assert not (folder / "checkpoints").exists()
    return _outputs(folder)


def _folder(folder: Path, tokenizer: PreTrainedTokenizerFast) -> Path:
    tokenizer.save_pretrained(folder / "tokenizer")
    return folder


def test_killed_again_and_again_it_ends_in_the_same_bytes(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, whole: dict[str, bytes]
) -> None:
    folder = _folder(tmp_path, tokenizer)
    for checkpoint in (12, 60):  # of 120 steps
        process = _start(folder)
        _wait_for(folder, checkpoint, process)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert not (folder / "phase").exists()
    assert _start(folder).wait() == 0
    assert _outputs(folder) == whole


@pytest.mark.parametrize("lost", ["trainable.safetensors", "optimizer.pt", "progress.json"])
def test_killed_while_its_checkpoints_are_removed_it_ends_in_the_same_bytes(
    lost: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The student is written by then, but the stage has not ended, and is run again."""

    def run() -> dict[str, bytes]:
        run_tiny(tmp_path, tokenizer, "phase", phase_of(epochs=3))
        return {file.name: file.read_bytes() for file in (tmp_path / "phase").iterdir()}

    def killed(folder: Path | str, **options: Any) -> None:
        if not Path(folder).name.startswith("checkpoints"):  # an old one, while it learns
            remove(folder, **options)
        for file in Path(folder).glob(f"**/{lost}"):
            file.unlink()
            raise KeyboardInterrupt

    remove = shutil.rmtree

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(shutil, "rmtree", killed)
        run()
    written = {file.name: file.read_bytes() for file in (tmp_path / "phase").iterdir()}
    assert run() == written
    assert [path.name for path in tmp_path.glob("checkpoints*/*")] == []


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_an_end_that_was_asked_for_is_clean_and_says_how_to_go_on(
    asked: signal.Signals, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    folder = _folder(tmp_path, tokenizer)
    process = _start(folder, told=subprocess.PIPE)
    _wait_for(folder, 12, process)
    process.send_signal(asked)
    _, told = process.communicate()
    assert process.returncode == 130
    assert b"interrupted: run the same again, it goes on from what is kept\n" in told
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints", "checkpoints.lock", "student", "tokenizer",
    ]  # fmt: skip


def test_equal_trainings_that_meet_wait_for_one_another(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, whole: dict[str, bytes]
) -> None:
    """As two experiments of a queue that differ in nothing that decides the phase."""
    folder = _folder(tmp_path, tokenizer)
    assert [process.wait() for process in (_start(folder), _start(folder))] == [0, 0]
    assert _outputs(folder) == whole
    assert not (folder / "checkpoints").exists()


def test_two_processes_have_the_same_loss_curve(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, whole: dict[str, bytes]
) -> None:
    folder = _folder(tmp_path, tokenizer)
    launcher = ["accelerate.commands.launch", "--cpu", "--num_processes=2", "--num_machines=1"]
    launcher += ["--mixed_precision=no", "--dynamo_backend=no", "--num_cpu_threads_per_process=1"]
    launcher += ["--main_process_ip=127.0.0.1", "--main_process_port=0", "--module"]
    assert _start(folder, *launcher).wait() == 0
    alone = pl.read_csv(whole["curve.csv"])
    together = pl.read_csv(folder / "curve.csv")
    assert together["step"].to_list() == alone["step"].to_list()
    np.testing.assert_allclose(together["loss"], alone["loss"], atol=0.02)


@pytest.mark.parametrize(
    "kind", ["lora", "dora", "series", "ia3", "bitfit", "prompt", "prefix", "full"]
)
def test_every_adapter_goes_on_from_its_checkpoint_to_the_same_bytes(
    kind: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(folder: Path) -> dict[str, bytes]:
        model = tiny_model("opt")  # a LLaMA has no biases
        adapter = adapter_spec(kind=kind, frozen_share=0.5)
        run_tiny(folder, tokenizer, "phase", phase_of(epochs=6), model=model, adapter=adapter)
        return {file.name: file.read_bytes() for file in (folder / "phase").iterdir()}

    def interrupted(progress: Progress, step: int, losses: dict[str, float]) -> None:
        if step == 7:  # of 12, each of which leaves a checkpoint
            raise KeyboardInterrupt
        add(progress, step, losses)

    add = Progress.add
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Progress, "add", interrupted)
        run(tmp_path / "parts")
    assert (tmp_path / "parts" / "checkpoints" / "checkpoint-7").is_dir()
    steps: list[int] = []
    monkeypatch.setattr(Progress, "add", lambda *given: (steps.append(given[1]), add(*given)))
    again = run(tmp_path / "parts")
    assert steps == [7, 8, 9, 10, 11]
    assert again == run(tmp_path / "whole")
