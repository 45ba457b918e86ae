"""What the processes of one phase, and those of other experiments beside it, may do at one time."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from filelock import FileLock

from akd.errors import InputError


def refuse_shards() -> None:
    """Refuse a launch whose student is spread over processes.

    Raises:
        InputError: if `accelerate launch` has been told to use FSDP.
    """
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
    with lock if PartialState().is_main_process else nullcontext():
        yield
