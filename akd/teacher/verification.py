"""Whether a folder of signals is as it was written, and if not, what is wrong with it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from safetensors import safe_open

from akd.io import read_table
from akd.records import SIGNAL
from akd.teacher.folder import DECISION, MEAN, Manifest, data_files, read_manifest, sha256

_SUM_ERROR = 1e-6  # by which float64 probabilities may miss 1


def first_fault(folder: Path) -> str | None:
    """Return what is wrong with the folder in one sentence; None if it is as it was written.

    Raises:
        InputError: if it has no manifest.
    """
    return next(_faults(folder, read_manifest(folder)), None)


def _faults(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Yield faults, the files first: what is read later may rely on what was found sound."""
    present = data_files(folder)
    for name in sorted(manifest.files.keys() | set(present)):
        if name not in present:
            yield f"{folder / name} is missing"
        elif name not in manifest.files:
            yield f"{folder / name} is not in the manifest"
        elif sha256(folder / name) != manifest.files[name]:
            yield f"{folder / name} has changed since it was written: its SHA-256 is another"
    yield from _row_faults(folder / "scores", read_table(folder / "scores", SIGNAL), manifest)
    yield from _hidden_faults(folder, [n for n in present if n.startswith("hidden/")], manifest)


def _row_faults(table: Path, frame: pl.DataFrame, manifest: Manifest) -> Iterator[str]:
    if frame.height != manifest.rows:
        yield f"{table} holds {frame.height} rows, but the manifest says {manifest.rows}"
    twice = frame.filter(pl.col("id").is_duplicated())["id"]
    if len(twice):
        yield f"{table} holds the id {twice[0]!r} more than once"
    strange = frame.filter(pl.col("probabilities").list.len() != len(manifest.labels))["id"]
    if len(strange):
        yield f"{table} has not one probability for each label of {strange[0]!r}"
    found = np.array(frame["probabilities"].to_list())
    off = (np.abs(found.sum(axis=1) - 1) > _SUM_ERROR) | (found < 0).any(axis=1)
    if off.any():
        yield f"{table} has probabilities of {frame['id'][int(off.argmax())]!r} that sum not to 1"


def _hidden_faults(folder: Path, names: Sequence[str], manifest: Manifest) -> Iterator[str]:
    rows, depth = 0, len(manifest.layers)
    expected = {DECISION: [manifest.width]} | ({MEAN: [depth, manifest.width]} if depth else {})
    for name in names:
        with safe_open(folder / name, "pt") as content:
            parts = {key: content.get_slice(key) for key in content.keys()}  # noqa: SIM118
            shapes = {key: part.get_shape() for key, part in parts.items()}
            dtypes = {str(part[:0].dtype).removeprefix("torch.") for part in parts.values()}
        counts = {count for count, *_ in shapes.values()}
        if {key: rest for key, (_, *rest) in shapes.items()} != expected or len(counts) > 1:
            yield f"{folder / name} has other states or another width than the manifest says"
        elif dtypes != {manifest.dtype}:
            yield f"{folder / name} has another dtype than the manifest says"
        rows += max(counts)
    if manifest.width and rows != manifest.rows:
        yield f"{folder}/hidden holds {rows} rows, but the manifest says {manifest.rows}"
