"""The folder of signals: a table of scores, shards of hidden states, and a manifest of both.

    scores/part-00000.parquet      what the teacher says (`records.SIGNAL`), in the order of the ids
    hidden/part-00000.safetensors  tensor `decision` (rows, width) fp16, row i of the table's row i;
                                   where they are kept also `mean` (rows, layers, width) fp16
    rationales/part-00000.parquet  where reasons were asked for (`records.RATIONALE`)
    manifest.json                  counts, labels, layers, dtype, fingerprints, SHA-256 of files

A teacher that is asked over an API gives no hidden states: width 0 and no such shard.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

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
from akd.records import RATIONALE, SIGNAL

_MANIFEST = "manifest.json"
DECISION, MEAN = "decision", "mean"
RATIONALES = "rationales"

MeanStates = tuple[torch.Tensor, list[int]]
"""Means over each article's tokens (n, layers, width), and the 1-based numbers of the blocks."""


class Manifest(BaseModel):
    """What a folder of signals holds.

    `layers` are the 1-based numbers of the blocks whose mean states are kept, none by default, of
    the `blocks` that the teacher has (0 where it gives no states); `model` is its own fingerprint,
    see `model_fingerprint`; `rationales` is how many reasons there are (None where none were asked
    for), and `top` how many alternatives for each of their tokens; `files` maps each name to its
    SHA-256.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    labels: list[str]
    width: int
    layers: list[int]
    blocks: int
    model: str
    dtype: str
    rationales: int | None
    top: int
    fingerprint: str
    files: dict[str, str]


def write_signals(
    folder: Path,
    frame: pl.DataFrame,
    hidden: torch.Tensor,
    *,
    labels: Sequence[str],
    blocks: int,
    model: str,
    fingerprint: str,
    means: MeanStates | None = None,
    rationales: pl.DataFrame | None = None,
) -> None:
    """Write signals (n rows) and hidden states (n, width) so that all of it appears or nothing.

    Args:
        folder: takes the place of what was there.
        labels: in the order of every class axis.
        blocks: how many the teacher has; 0 where it gives no states.
        model: see `model_fingerprint`.
        fingerprint: of everything that decided a score besides the text.
        means: mean states and the numbers of their blocks, where they are to be kept.
        rationales: reasons of some articles, where they were asked for.
    """
    tensors, layers = {DECISION: hidden}, list[int]()
    if means is not None:
        tensors[MEAN], layers = means
    with replacing(folder) as aside:
        write_table(aside / "scores", frame, SIGNAL)
        starts = range(0, len(hidden), io.ROWS_PER_SHARD) if hidden.shape[1] else []
        for number, start in enumerate(starts):
            shard = {n: t[start : start + io.ROWS_PER_SHARD].clone() for n, t in tensors.items()}
            write_tensors(aside / f"hidden/part-{number:05d}.safetensors", shard)
        if rationales is not None:
            write_table(aside / RATIONALES, rationales, RATIONALE)
        manifest = Manifest(
            rows=frame.height,
            labels=list(labels),
            width=hidden.shape[1],
            layers=layers,
            blocks=blocks,
            model=model,
            rationales=None if rationales is None else rationales.height,
            top=_alternatives(rationales),
            dtype=str(hidden.dtype).removeprefix("torch."),
            fingerprint=fingerprint,
            files={name: sha256(aside / name) for name in data_files(aside)},
        )
        write_json(aside / _MANIFEST, manifest.model_dump())


def model_fingerprint(model: Mapping[str, str] | str) -> str:
    """Return the fingerprint of a teacher: of its files' hashes, or of what a server calls it."""
    return io.fingerprint({"model": model})


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest.

    Raises:
        InputError: if there is none.
    """
    try:
        return Manifest.model_validate(read_json(folder / _MANIFEST))
    except ValidationError as error:
        key = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InputError(
            f"{folder / _MANIFEST} is no manifest of signals ({key}): run dvc repro again"
        ) from None


def read_hidden(folder: Path) -> torch.Tensor:
    """Return the decision states (n, width) in fp16, in the order of the table.

    Raises:
        InputError: if the folder holds none.
    """
    if not read_manifest(folder).width:
        raise InputError(
            f"{folder} holds no hidden states, since its teacher gives none: choose the engine "
            "transformers, or what needs no hidden states"
        )
    return _tensor(folder, DECISION)


def read_mean_states(folder: Path) -> MeanStates:
    """Return the mean states (n, layers, width) in fp16, in the order of the table, and the blocks.

    Raises:
        InputError: if the folder holds none.
    """
    layers = read_manifest(folder).layers
    if not layers:
        raise InputError(
            f"{folder} holds no mean states: name depths in `label.states` and run dvc repro "
            "again, or `dvc exp run -S 'label.states=[0.53,0.93]'`"
        )
    return _tensor(folder, MEAN), layers


def read_rationales(folder: Path) -> pl.DataFrame:
    """Return the reasons (`records.RATIONALE`) of those articles that have one.

    Raises:
        InputError: if none were asked for.
    """
    if read_manifest(folder).rationales is None:
        raise InputError(
            f"{folder} holds no reasons: set `label.rationales.share` and run dvc repro again"
        )
    return read_table(folder / RATIONALES, RATIONALE)


def _alternatives(rationales: pl.DataFrame | None) -> int:
    found = [] if rationales is None else rationales["top_tokens"].explode().list.len().to_list()
    return max(found, default=0)


def _tensor(folder: Path, name: str) -> torch.Tensor:
    shards = sorted((folder / "hidden").glob("part-*.safetensors"))
    return torch.cat([read_tensors(shard)[name] for shard in shards])


def describe(folder: Path) -> dict[str, Any]:
    """Return what the folder holds: counts, labels, means, bytes per document and fingerprint.

    Raises:
        InputError: if it is no folder of signals.
    """
    manifest, frame = read_manifest(folder), read_table(folder / "scores", SIGNAL)
    mean = frame.select("entropy", "margin", "other_mass").mean().row(0, named=True)
    return {
        "articles": frame.height,
        "labels": {label: int((frame["label"] == label).sum()) for label in manifest.labels},
        **{f"mean_{name}": round(value, 6) for name, value in mean.items()},
        "articles_with_a_reason": manifest.rationales or 0,
        "layers_of_states": len(manifest.layers),
        "bytes_per_document": round(_size(folder) / frame.height, 1),
        "fingerprint": manifest.fingerprint,
    }


def data_files(folder: Path) -> list[str]:
    """Return the names of all files but the manifest, sorted."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in paths]
    return [name for name in names if name != _MANIFEST]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
