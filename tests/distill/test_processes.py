"""What trainings beside each other, and processes of one, may do at one time."""

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import PreTrainedTokenizerFast

from akd.distill import preparation
from akd.distill.processes import alone
from akd.errors import InputError
from tests.distill.tiny_phase import LORA, phase_of, run_tiny


def test_an_equal_training_says_that_it_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entered: list[int] = []

    def second() -> None:
        with alone(tmp_path / "training"):
            entered.append(2)

    waiting = threading.Thread(target=second)
    with alone(tmp_path / "training"):
        waiting.start()
        while "waits for its end" not in capsys.readouterr().err:
            time.sleep(0.01)
        assert not entered
    waiting.join(timeout=60)
    assert entered == [2]


def test_checkpoints_that_nobody_goes_on_with_are_removed(tmp_path: Path) -> None:
    names = ("abandoned", "held", "recent", "of-no-training", "frozen")
    long_ago = time.time() - 15 * 24 * 3600
    for name in names:
        (tmp_path / name / ("states" if name == "frozen" else "checkpoint-1")).mkdir(parents=True)
        if name != "of-no-training":
            (tmp_path / f"{name}.lock").touch()
        if name != "recent":
            os.utime(tmp_path / name, (long_ago, long_ago))
    with alone(tmp_path / "held"), alone(tmp_path / "new"):
        assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == set(names[1:])


@pytest.mark.parametrize(("kind", "refused"), [("full", True), ("lora", False)])
def test_a_head_that_processes_would_train_apart_is_refused(
    kind: str,
    refused: bool,
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preparation, "PartialState", lambda: SimpleNamespace(num_processes=2))
    phase = phase_of(epochs=1, losses={"soft_cross_entropy": 1.0, "next_token": 0.1})
    adapter = LORA.model_copy(update={"kind": kind})
    if refused:
        with pytest.raises(InputError, match=r"next_token with adapter.kind full cannot train"):
            run_tiny(tmp_path, tokenizer, "phase", phase, adapter=adapter)
    else:
        run_tiny(tmp_path, tokenizer, "phase", phase, adapter=adapter)
    assert (tmp_path / "phase").exists() != refused
