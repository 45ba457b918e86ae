"""Files of a user, as tests write them and read them back."""

from collections.abc import Iterator
from pathlib import Path

from akd.corpus.sources import files
from akd.corpus.sources.row import Row
from akd.specs.sources import FilesSource


def read_files(folder: Path, *paths: str, **columns: str) -> list[Row]:
    """Return the rows of files; without columns, `body` is the text."""
    return list(rows_of_files(folder, *paths, **columns))


def rows_of_files(folder: Path, *paths: str, **columns: str) -> Iterator[Row]:
    """Yield the rows of files as the source does."""
    source = FilesSource(
        kind="files",
        name="mine",
        paths=list(paths),
        columns=columns or {"text": "body"},
        domain="shop",
        language="en",
    )
    return files.read(source, folder)


def texts_of(rows: list[Row]) -> list[str]:
    """Return the texts of the rows that are articles."""
    return [row["text"] for row in rows if "reason" not in row]


def rejected_of(rows: list[Row]) -> list[tuple[str, str]]:
    """Return reason and place of the rows that are none."""
    return [(row["reason"], row["detail"].split(": ")[0]) for row in rows if "reason" in row]


def write_file(folder: Path, name: str, content: bytes | str) -> None:
    """Write a file, in a folder that may be new."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
