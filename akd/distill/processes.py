"""What the processes of one phase, and those of other experiments beside it, may do at one time."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from filelock import FileLock

from akd.errors import InputError


def check_launch(batch_size: int) -> None:
    """Refuse a launch whose processes cannot share the work of a phase.

    Args:
        batch_size: of a step, which the processes share.

    Raises:
        InputError: if `accelerate launch` has been told to use FSDP, or the batch cannot be shared.
    """
    processes = PartialState().num_processes
    if batch_size % processes:
        raise InputError(
            f"{processes} processes cannot share batches of {batch_size} articles: set "
            "`optimizer.batch_size` to a multiple of them, or launch another number"
        )
    if parse_flag_from_env("ACCELERATE_USE_FSDP"):
        raise InputError(
            "FSDP: no phase can measure or save a student in shards yet (docs/multi-gpu.md): "
            "launch without FSDP, or set `quantization.kind: nf4` so that one GPU holds the student"
        )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one training at a time write its checkpoints into a folder.

    Two experiments of a queue that differ in nothing that decides the training meet there: the
    second one waits, and then finds the folder removed. The lock ends with the process.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{folder}.lock")
    state = PartialState()
    with lock if state.is_main_process else nullcontext():
        state.wait_for_everyone()  # no process looks for checkpoints before the lock is held
        yield
