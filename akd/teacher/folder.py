"""The folder of signals: a table of scores, shards of hidden states, and a manifest of both.

    scores/part-00000.parquet      what the teacher says (`records.SIGNAL`), in the order of the ids
    hidden/part-00000.safetensors  tensor `decision` (rows, width) fp16, row i of the table's row i
    manifest.json                  rows, labels, width, dtype, fingerprint, SHA-256 of every file

A teacher that is asked over an API gives no hidden states: width 0 and no such shard.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import safe_open

from akd import io
from akd.errors import InputError
from akd.io import (
    read_json,
    read_table,
    read_tensors,
    replacing,
    write_json,
    write_table,
    write_tensors,
)
from akd.records import SIGNAL

_MANIFEST = "manifest.json"
_SUM_ERROR = 1e-6  # by which float64 probabilities may miss 1


class Manifest(BaseModel):
    """What a folder of signals holds; `files` maps each name to its SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    labels: list[str]
    width: int
    dtype: str
    fingerprint: str
    files: dict[str, str]


def write_signals(
    folder: Path,
    frame: pl.DataFrame,
    hidden: torch.Tensor,
    *,
    labels: Sequence[str],
    fingerprint: str,
) -> None:
    """Write signals (n rows) and hidden states (n, width) so that all of it appears or nothing.

    Args:
        folder: takes the place of what was there.
        labels: in the order of every class axis.
        fingerprint: of everything that decided a score besides the text.
    """
    with replacing(folder) as aside:
        write_table(aside / "scores", frame, SIGNAL)
        starts = range(0, len(hidden), io.ROWS_PER_SHARD) if hidden.shape[1] else []
        for number, start in enumerate(starts):
            shard = hidden[start : start + io.ROWS_PER_SHARD].clone()
            write_tensors(aside / f"hidden/part-{number:05d}.safetensors", {"decision": shard})
        manifest = Manifest(
            rows=frame.height,
            labels=list(labels),
            width=hidden.shape[1],
            dtype=str(hidden.dtype).removeprefix("torch."),
            fingerprint=fingerprint,
            files={name: _sha256(aside / name) for name in _files(aside)},
        )
        write_json(aside / _MANIFEST, manifest.model_dump())


def _manifest(folder: Path) -> Manifest:
    try:
        return Manifest.model_validate(read_json(folder / _MANIFEST))
    except ValidationError as error:
        key = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InputError(
            f"{folder / _MANIFEST} is no manifest of signals ({key}): run dvc repro again"
        ) from None


def read_labels(folder: Path) -> list[str]:
    """Return the labels in the order of every class axis.

    Raises:
        InputError: if it is no folder of signals.
    """
    return _manifest(folder).labels


def read_hidden(folder: Path) -> torch.Tensor:
    """Return the decision states (n, width) in the order of the table, fp16.

    Raises:
        InputError: if the teacher gave no hidden states.
    """
    if not _manifest(folder).width:
        raise InputError(
            f"{folder} holds no hidden states: a loss that needs them wants the engine "
            "`label.engine.kind: transformers`"
        )
    shards = sorted((folder / "hidden").glob("part-*.safetensors"))
    return torch.cat([read_tensors(shard)["decision"] for shard in shards])


def describe(folder: Path) -> dict[str, Any]:
    """Return what the folder holds: counts, labels, means, bytes per document and fingerprint.

    Raises:
        InputError: if it is no folder of signals.
    """
    manifest, frame = _manifest(folder), read_table(folder / "scores", SIGNAL)
    mean = frame.select("entropy", "margin", "other_mass").mean().row(0, named=True)
    return {
        "articles": frame.height,
        "labels": {label: int((frame["label"] == label).sum()) for label in manifest.labels},
        **{f"mean_{name}": round(value, 6) for name, value in mean.items()},
        "bytes_per_document": round(_size(folder) / frame.height, 1),
        "fingerprint": manifest.fingerprint,
    }


def first_fault(folder: Path) -> str | None:
    """Return what is wrong with the folder in one sentence; None if it is as it was written.

    Raises:
        InputError: if it has no manifest.
    """
    return next(_faults(folder, _manifest(folder)), None)


def _faults(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Yield faults, the files first: what is read later may rely on what was found sound."""
    present = _files(folder)
    for name in sorted(manifest.files.keys() | set(present)):
        if name not in present:
            yield f"{folder / name} is missing"
        elif name not in manifest.files:
            yield f"{folder / name} is not in the manifest"
        elif _sha256(folder / name) != manifest.files[name]:
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
    rows = 0
    for name in names:
        with safe_open(folder / name, "pt") as content:
            part = content.get_slice("decision")
            count, width = part.get_shape()
            dtype = str(part[:0].dtype).removeprefix("torch.")
        if (width, dtype) != (manifest.width, manifest.dtype):
            yield f"{folder / name} has another width or dtype than the manifest says"
        rows += count
    if manifest.width and rows != manifest.rows:
        yield f"{folder}/hidden holds {rows} rows, but the manifest says {manifest.rows}"


def _files(folder: Path) -> list[str]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in paths]
    return [name for name in names if name != _MANIFEST]


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
