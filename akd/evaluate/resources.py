"""Resources: what a run costs on this machine. None of it is deterministic."""

import resource
import sys
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path


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
