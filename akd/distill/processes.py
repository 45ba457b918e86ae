"""What the processes of one phase, and those of other experiments beside it, may do at one time."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from filelock import FileLock, Timeout

from akd.console import say
from akd.distill.progress import remove_checkpoints
from akd.errors import InputError

_ABANDONED = 14 * 24 * 3600  # seconds since the last checkpoint
_SHARDING = {"ACCELERATE_USE_FSDP": "FSDP", "ACCELERATE_USE_DEEPSPEED": "DeepSpeed"}
_COMPUTING = {
    "ACCELERATE_MIXED_PRECISION": "mixed_precision",
    "ACCELERATE_DYNAMO_BACKEND": "dynamo_backend",
}
"""What `accelerate launch` tells its processes, and the options of it that say so."""


def check_launch(batch_size: int) -> None:
    """Refuse a launch whose processes cannot share the work of a phase.

    Args:
        batch_size: of a step, which the processes share.

    Raises:
        InputError: if `accelerate launch` has been told to shard the student, or to compute steps
            otherwise than what is measured around them, or the batch cannot be shared.
    """
    processes = PartialState().num_processes
    if batch_size % processes:
        raise InputError(
            f"{processes} processes cannot share batches of {batch_size} articles: set "
            "`optimizer.batch_size` to a multiple of them, or launch another number"
        )
    for flag, way in _SHARDING.items():
        if parse_flag_from_env(flag):
            raise InputError(
                f"{way}: no phase can measure or save a student in shards yet (docs/multi-gpu.md): "
                f"launch without {way}, or set `quantization.kind: nf4` so that one GPU holds the "
                "student"
            )
    for told, option in _COMPUTING.items():
        if os.environ.get(told, "no").lower() != "no":
            raise InputError(
                f"{option} is {os.environ[told]!r}: the steps of a phase would compute otherwise "
                f"than what it measures and its readout: launch with --{option}=no (AKD_DTYPE says "
                "in what akd computes)"
            )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one training at a time write its checkpoints into a folder.

    Two experiments of a queue that differ in nothing that decides the training meet there: the
    second one waits, and then finds the folder removed. The lock ends with the process.
    Checkpoints beside it with which nobody has gone on for two weeks are removed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    state = PartialState()
    with _held(folder) if state.is_main_process else nullcontext():
        state.wait_for_everyone()  # no process looks for checkpoints before the lock is held
        yield


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    lock = _lock_of(folder)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("another process trains the very same: this one waits for its end")
        lock.acquire()
    try:
        _remove_abandoned(folder.parent)
        yield
    finally:
        lock.release()


def _remove_abandoned(trainings: Path) -> None:
    for file in trainings.glob("*.lock"):
        folder = file.with_suffix("")
        holds = any(folder.glob("checkpoint-*"))  # other things have locks there, too
        if holds and time.time() - folder.stat().st_mtime > _ABANDONED:
            with suppress(Timeout), _lock_of(folder).acquire(timeout=0):
                remove_checkpoints(folder)


def _lock_of(folder: Path) -> FileLock:
    return FileLock(f"{folder}.lock")
