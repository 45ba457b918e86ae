"""Resources: what a run costs on this machine. None of it is deterministic."""

import math
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from akd.errors import InputError


@contextmanager
def rate(report: MutableMapping[str, float], name: str, documents: int) -> Iterator[None]:
    """Enter documents per second of the block into the report."""
    start = time.perf_counter()
    yield
    report[name] = round(documents / (time.perf_counter() - start), 3)


def peak_gib() -> float:
    """Return the largest memory that this process has held so far, in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 2**30, 3)


def folder_mb(folder: Path) -> float:
    """Return the size of the files of a folder in MB."""
    return round(sum(f.stat().st_size for f in folder.iterdir() if f.is_file()) / 1e6, 3)


def machine_watts() -> float | None:
    """Return what `AKD_WATTS` says the machine draws under load; None where it is not set.

    Raises:
        InputError: if it is not a positive number.
    """
    text = os.environ.get("AKD_WATTS")
    if text is None:
        return None
    try:
        watts = float(text)
    except ValueError:
        watts = math.nan
    if not (math.isfinite(watts) and watts > 0):
        raise InputError(f"AKD_WATTS is {text!r}: set it to the watts of this machine, or unset it")
    return watts


def costs(seconds: Mapping[str, float], watts: float | None) -> dict[str, Any]:
    """Return peak memory in GiB, wall times, and the energy that they stand for.

    Nothing here measures power: `estimated_watt_hours` is watts times wall time, and is left out
    where no one says how many watts.

    Args:
        seconds: wall time of each stage.
        watts: what the machine draws under load, at the plug or by its data sheet.
    """
    report = {"peak_gib": peak_gib(), "wall_seconds": dict(seconds)}
    if watts is None:
        return report
    energy = {name: round(watts * spent / 3600, 6) for name, spent in seconds.items()}
    return {**report, "estimated_watt_hours": energy}
