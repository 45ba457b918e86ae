"""Atomic reading and writing: Parquet tables in shards, JSON, JSON lines, safetensors."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from akd.errors import InputError

if TYPE_CHECKING:
    import torch

ROWS_PER_SHARD = 50_000


def resume_folder() -> Path:
    """Return the folder `.akd` of the repository, for finished parts of long or paid work.

    It is ignored by git and DVC, which says where its root is even when it runs an experiment in a
    temporary folder.
    """
    return Path(os.environ.get("DVC_ROOT", ".")) / ".akd"


def file_hashes(folder: Path, pattern: str) -> dict[str, str]:
    """Return the SHA-256 of each file of a folder that the pattern names, under its path there."""
    hashes = {}
    for file in sorted(path for path in folder.glob(pattern) if path.is_file()):
        with file.open("rb") as content:
            name = file.relative_to(folder).as_posix()
            hashes[name] = hashlib.file_digest(content, "sha256").hexdigest()
    return hashes


def fingerprint(ingredients: Mapping[str, Any]) -> str:
    """Return a hash of everything that decides a result, as plain JSON values."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:32]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a fresh folder beside `path` that takes its place when the block ends well.

    If the block raises, the folder is removed and `path` is left as it was, so that no reader
    ever meets a half-written output.
    """
    aside = path.with_name(f".{path.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
    except BaseException:
        shutil.rmtree(aside)
        raise
    if path.exists():
        shutil.rmtree(path)
    aside.rename(path)


def write_table(folder: Path, frame: pl.DataFrame, schema: pl.Schema) -> None:
    """Write a table as shards `part-00000.parquet` (zstd) into a new folder.

    An empty table is one shard without rows, so that its schema can still be read.

    Raises:
        ValueError: if the frame does not have exactly this schema.
    """
    if frame.schema != schema:
        raise ValueError(f"{folder.name}: columns {frame.schema} are not {schema}")
    with replacing(folder) as aside:
        for number, start in enumerate(range(0, max(frame.height, 1), ROWS_PER_SHARD)):
            shard = frame.slice(start, ROWS_PER_SHARD)
            shard.write_parquet(aside / f"part-{number:05d}.parquet", compression="zstd")


def write_tables(folder: Path, tables: Mapping[str, tuple[pl.DataFrame, pl.Schema]]) -> None:
    """Write several tables, each into a folder of its own, so that all appear or none."""
    with replacing(folder) as aside:
        for name, (frame, schema) in tables.items():
            write_table(aside / name, frame, schema)


def table_shards(folder: Path) -> list[Path]:
    """Return the shards of a table, in the order of their names.

    Raises:
        InputError: if there is no shard.
    """
    shards = sorted(folder.glob("part-*.parquet"))
    if not shards:
        raise InputError(f"{folder} holds no table: run the stage that writes it (dvc repro)")
    return shards


def read_table(folder: Path, schema: pl.Schema) -> pl.DataFrame:
    """Read all shards of a table, in the order of their names.

    Raises:
        InputError: if there is no shard, one is damaged, or its columns are not those of the
            schema.
    """
    shards = table_shards(folder)
    try:
        frame = pl.concat([pl.read_parquet(shard) for shard in shards])
    except pl.exceptions.ComputeError:
        raise InputError(f"{folder} is damaged: `dvc checkout` or `dvc repro` mends it") from None
    if frame.schema != schema:
        raise InputError(f"{folder} was written by another version of akd: run dvc repro again")
    return frame


def read_text(path: Path) -> str:
    """Read a text file in UTF-8; a byte order mark before it is passed over.

    Raises:
        FileNotFoundError: if there is none.
        InputError: if it is a folder or in another encoding.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except IsADirectoryError:
        raise InputError(f"{path} is a folder: name a file") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 (byte {error.start} of it): save it in that encoding"
        ) from None


@contextmanager
def _renamed(path: Path) -> Iterator[Path]:
    """Give a file beside `path` that takes its place when the block ends well.

    It is of this process alone: experiments of a queue write the same files of `.akd` at one time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield aside
        aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file aside and rename it into place."""
    with _renamed(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON with a fixed layout.

    Raises:
        ValueError: if a number in it is NaN or infinite, which `dvc metrics diff` cannot compare.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: if it is missing, no text in UTF-8, or not JSON.
    """
    try:
        return json.loads(read_text(path))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run the stage that writes it") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno} is not JSON ({error.msg}): mend it") from None


def write_json_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, in the order given."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read one JSON object a line; blank lines are passed over.

    Raises:
        InputError: if the file is missing or no text in UTF-8, or a line is no JSON object (the
            line is named).
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: create it, one JSON object a line")
    rows = []
    # Not splitlines: it would also cut at U+2028 and the like, which may stand in a JSON string.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}:{number} is not JSON ({error.msg}): mend the line") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}:{number} is not a JSON object: write one object a line")
        rows.append(row)
    return rows


def write_tensors(path: Path, tensors: Mapping[str, "torch.Tensor"]) -> None:
    """Write tensors as safetensors without metadata (two keys of it come in random order)."""
    from safetensors.torch import save_file

    with _renamed(path) as aside:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, aside)


def read_tensors(path: Path) -> dict[str, "torch.Tensor"]:
    """Read a safetensors file into memory.

    Raises:
        InputError: if the file is missing.
    """
    from safetensors.torch import load_file

    if not path.is_file():
        raise InputError(f"{path} does not exist: run the stage that writes it (dvc repro)")
    return load_file(path)


def write_csv(path: Path, frame: pl.DataFrame) -> None:
    """Write a plot table: CSV with six decimals, which git can show the differences of."""
    write_text(path, frame.write_csv(float_precision=6))
