"""What a person sees while a stage runs: progress bars, and errors as one sentence."""

import errno
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from tqdm import tqdm

from akd.clock import timed
from akd.errors import InputError, reason_of

T = TypeVar("T")

_NO_ROOM = "OutOfMemoryError"  # of torch, which is not loaded for its name alone
_LESS = (
    "lower optimizer.batch_size or label.batch_size, set optimizer.gradient_checkpointing, or hold "
    "the models in 4 bits (quantization.kind, label.engine.quantization); `akd plan` says what fits"
)

PathOption = Annotated[Path, typer.Option()]
"""A path that a stage takes by name; every such option is required."""


def progress(
    items: Iterable[T], *, description: str, unit: str, total: int | None = None
) -> Iterator[T]:
    """Yield the items behind a bar with rate and estimate, on stderr.

    Where stderr is no terminal (a log, CI), the bar is redrawn every ten seconds only.
    """
    interval = 0.2 if sys.stderr.isatty() else 10.0
    yield from tqdm(items, desc=description, unit=unit, total=total, mininterval=interval)


def bar(*, description: str, unit: str, total: int, shown: bool = True) -> "tqdm[Any]":
    """Return a bar that the caller advances by hand, for work whose steps differ in size.

    Inside another bar it goes when it is full; where there is nothing to do it is not drawn.
    """
    interval = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(
        total=total,
        desc=description,
        unit=unit,
        mininterval=interval,
        leave=None,
        disable=total == 0 or not shown,
    )


def workers() -> int:
    """Return the number of worker processes: `AKD_WORKERS`, or one for each core.

    Raises:
        InputError: if `AKD_WORKERS` is not a positive whole number.
    """
    text = os.environ.get("AKD_WORKERS", str(os.cpu_count() or 1))
    if not text.isdigit() or int(text) < 1:
        raise InputError(f"AKD_WORKERS is {text!r}: set it to a whole number from 1, or unset it")
    return int(text)


def say(text: str) -> None:
    """Write one line to stderr, beside the bars."""
    tqdm.write(text, file=sys.stderr)


def guard(command: Callable[[], None]) -> None:
    """Run a command; an `InputError` becomes one sentence and exit code 2, as do full disk and GPU.

    SIGTERM ends it like Ctrl-C: folders that were being written are removed, what is finished is
    kept, and the exit code is 130.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        command()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print("error: the disk is full: free some of it, and run the same again", file=sys.stderr)
        raise SystemExit(2) from None
    except RuntimeError as error:
        if type(error).__name__ != _NO_ROOM:
            raise
        print(f"error: the GPU is full ({reason_of(error)}): {_LESS}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted: run the same again, it goes on from what is kept", file=sys.stderr)
        raise SystemExit(130) from None


def run(main: Callable[..., None]) -> None:
    """Run a stage from its command line, and note how long it takes.

    What has been loaded by now is needed to the end: it is never again looked through for garbage,
    which at the end alone would take a second.
    """
    gc.freeze()
    gc.enable()
    stage = timed(main)

    @wraps(main)
    def guarded(*arguments: Any, **options: Any) -> None:
        guard(lambda: stage(*arguments, **options))  # in here: Typer ends on Ctrl-C without a word

    typer.run(guarded)
