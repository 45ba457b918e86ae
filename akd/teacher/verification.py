"""Whether a folder of signals is as it was written, and if not, what is wrong with it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from safetensors import safe_open

from akd.io import read_table
from akd.records import RATIONALE, SIGNAL
from akd.teacher.folder import (
    DECISION,
    MEAN,
    RATIONALES,
    Manifest,
    data_files,
    read_manifest,
    sha256,
)

_SUM_ERROR = 1e-6  # by which float64 probabilities may miss 1
_MASS_ERROR = 1e-3  # by which alternatives and tail of a token, in float32, may
_OF_TOKENS = ("top_tokens", "top_log_probabilities", "tail_mass")


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
    scores = read_table(folder / "scores", SIGNAL)
    yield from _row_faults(folder / "scores", scores, manifest)
    yield from _hidden_faults(folder, [n for n in present if n.startswith("hidden/")], manifest)
    if manifest.rationales is not None:
        table = folder / RATIONALES
        yield from _rationale_faults(table, read_table(table, RATIONALE), scores["id"], manifest)


def _id_faults(table: Path, frame: pl.DataFrame, rows: int) -> Iterator[str]:
    if frame.height != rows:
        yield f"{table} holds {frame.height} rows, but the manifest says {rows}"
    twice = frame.filter(pl.col("id").is_duplicated())["id"]
    if len(twice):
        yield f"{table} holds the id {twice[0]!r} more than once"


def _row_faults(table: Path, frame: pl.DataFrame, manifest: Manifest) -> Iterator[str]:
    yield from _id_faults(table, frame, manifest.rows)
    strange = frame.filter(pl.col("probabilities").list.len() != len(manifest.labels))["id"]
    if len(strange):
        yield f"{table} has not one probability for each label of {strange[0]!r}"
    found = np.array(frame["probabilities"].to_list())
    # Said so that what is no number is off as well.
    off = ~((np.abs(found.sum(axis=1) - 1) <= _SUM_ERROR) & (found >= 0).all(axis=1))
    if off.any():
        yield f"{table} has probabilities of {frame['id'][int(off.argmax())]!r} that sum not to 1"


def _rationale_faults(
    table: Path, frame: pl.DataFrame, articles: pl.Series, manifest: Manifest
) -> Iterator[str]:
    yield from _id_faults(table, frame, manifest.rationales or 0)
    strange = frame.filter(~pl.col("id").is_in(articles.implode()))["id"]
    if len(strange):
        yield f"{table} has a reason of {strange[0]!r}, which has no score"
    length = pl.col("tokens").list.len()
    uneven = frame.filter(
        (length == 0) | pl.any_horizontal(pl.col(*_OF_TOKENS).list.len() != length)
    )["id"]
    if len(uneven):
        yield f"{table} has not one of everything for each token of {uneven[0]!r}"
    tokens = frame.explode("tokens", *_OF_TOKENS)
    alternatives = pl.col("top_tokens", "top_log_probabilities").list.len()
    mass = pl.col("top_log_probabilities").list.eval(pl.element().exp()).list.sum()
    faults = {
        f"not {manifest.top} alternatives": pl.any_horizontal(alternatives != manifest.top),
        "another first alternative than the token": pl.col("top_tokens").list.first()
        != pl.col("tokens"),
        "probabilities that sum not to 1": ((mass + pl.col("tail_mass") - 1).abs() > _MASS_ERROR)
        | (pl.col("tail_mass") < 0),
    }
    for what, holds in faults.items():
        found = tokens.filter(holds)["id"]
        if len(found):
            yield f"{table} has {what} for a token of {found[0]!r}"


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
