"""Articles in files of the user: CSV, JSON lines or Parquet."""

import glob
from collections.abc import Iterator
from pathlib import Path

from akd.corpus.sources import delimited, json_lines, parquet
from akd.corpus.sources.lines import COMPRESSIONS
from akd.corpus.sources.location import below
from akd.corpus.sources.row import Row
from akd.corpus.sources.table import Table
from akd.errors import InputError
from akd.specs.sources import FilesSource

_TEXT_KINDS = (".csv", ".jsonl", ".ndjson")


def read(source: FilesSource, folder: Path) -> Iterator[Row]:
    """Yield the rows of the files under `folder`, by path; `id` only where a column names it.

    Raises:
        InputError: if a path leaves the folder or matches no file, a file cannot be read to its
            end, is of no known kind or has no rows, or a column that the task names is missing.
    """
    for path in _paths(source, folder):
        table = Table(source, name=str(path), place=path.relative_to(folder).as_posix())
        yield from table.filled(_rows(path, table))


def _rows(path: Path, table: Table) -> Iterator[Row]:
    match _kind(path):
        case ".csv":
            return delimited.read(path, table)
        case ".parquet":
            return parquet.read(path, table)
        case _:
            return json_lines.read(path, table)


def _paths(source: FilesSource, folder: Path) -> list[Path]:
    found: dict[Path, Path] = {}  # one file may have two paths: a link, a pattern that overlaps
    for pattern in source.paths:
        below(folder, pattern)
        matches = sorted(_matches(folder, pattern))
        if not matches:
            raise InputError(f"{folder / pattern} matches no file: put your articles there")
        for path in matches:
            if not _kind(path):
                raise InputError(
                    f"{path} is of no known kind: name .parquet, or .csv, .jsonl or .ndjson files, "
                    f"plain or with {', '.join(COMPRESSIONS)} after it"
                )
            found.setdefault(path.resolve(), path)
    return sorted(found.values())


def _matches(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield the files of a glob, and those of known kinds below the folders of it."""
    for name in glob.iglob(pattern, root_dir=folder, recursive=True):
        path = folder / name
        if not path.is_dir():
            yield path
            continue
        for name_below in glob.iglob("**", root_dir=path, recursive=True):
            inner = path / name_below
            if not inner.is_dir() and _kind(inner):
                yield inner


def _kind(path: Path) -> str:
    """Return the suffix that tells how a file is read, or nothing."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        return suffixes[-2] if len(suffixes) > 1 and suffixes[-2] in _TEXT_KINDS else ""
    known = (*_TEXT_KINDS, ".parquet")
    return suffixes[-1] if suffixes and suffixes[-1] in known else ""
