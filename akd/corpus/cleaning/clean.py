"""Clean: shard by shard in processes, then one look across shards; each row is kept or rejected.

First pass: texts, languages, signatures, in parallel and at flat memory (`preparation`). Then who
repeats whom, from signatures alone (`deduplication`). Second pass: write kept and rejected rows.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from numpy.typing import NDArray

from akd.console import bar
from akd.corpus.cleaning.deduplication import find_duplicates
from akd.corpus.cleaning.preparation import Part, Preparation, prepare
from akd.corpus.report import sizes
from akd.corpus.verdicts import write_judged
from akd.errors import InputError
from akd.io import replacing, table_shards
from akd.records import CLEAN

ROWS_PER_PART = 2_000  # what a process holds at once
PARTS_PER_SHARD = 10

_REST = ("domain", "source", "language_hint", "title", "published")
"""What, beside id and text, two rows can differ in."""


def clean(raw: Path, out: Path, settings: Preparation, *, similarity: float, workers: int) -> None:
    """Clean the articles of `raw` into the tables `out`/articles and `out`/rejected.

    Of several articles with one id or text, or with nearly the same text, the one with the
    smallest id is kept: the result does not depend on the order of the rows.

    Raises:
        InputError: if `raw` holds no table, or none of its articles is kept.
    """
    parts = list(_parts(table_shards(raw)))
    with TemporaryDirectory() as folder, replacing(out) as aside:
        scratch = Path(folder)
        _prepare_all(parts, scratch, settings, workers)
        prepared = sorted(scratch.glob("*.parquet"))
        duplicates = find_duplicates(
            pl.concat([_fit(path) for path in prepared]),
            partial(_column, sorted(scratch.glob("*.npy"))),
            permutations=settings.permutations,
            similarity=similarity,
        )
        kept, rejected = _write(prepared, duplicates, aside)
        if not kept:
            raise InputError(_nothing_left(pl.scan_parquet(aside / "rejected")))
    if kept + rejected != sum(part.rows for part in parts):
        raise RuntimeError(f"{raw}: rows in are not kept + rejected")


def _nothing_left(rejected: pl.LazyFrame) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in sizes(rejected, "reason").items())
    if not reasons:
        return "fetch kept no article: see data/raw/rejected, and mend the sources in task.yaml"
    return f"clean keeps no article ({reasons}): change `clean` in params.yaml, or the sources"


def _parts(shards: Sequence[Path]) -> Iterator[Part]:
    number = 0
    for shard in shards:
        height = pl.scan_parquet(shard).select(pl.len()).collect().item()
        for start in range(0, max(height, 1), ROWS_PER_PART):
            yield Part(shard, start, min(ROWS_PER_PART, height - start), number)
            number += 1


def _prepare_all(parts: Sequence[Part], scratch: Path, settings: Preparation, workers: int) -> None:
    total = sum(part.rows for part in parts)
    work = partial(prepare, scratch=scratch, settings=settings)
    with (
        ProcessPoolExecutor(min(workers, len(parts)), get_context("spawn")) as pool,
        bar(description="clean", unit="article", total=total) as progress,
    ):
        for rows in pool.map(work, parts):
            progress.update(rows)


def _fit(path: Path) -> pl.DataFrame:
    fit = pl.scan_parquet(path).filter(pl.col("reason") == "")
    rest = pl.concat_str(_REST, separator="\x1f", ignore_nulls=True).hash().alias("rest_hash")
    return fit.select("id", "text_hash", rest).collect()


def _column(paths: Sequence[Path], number: int) -> NDArray[np.uint32]:
    """Read one column of the signatures of all parts; the files are mapped for that moment only."""
    return np.concatenate([np.load(path, mmap_mode="r")[number] for path in paths])


def _write(prepared: Sequence[Path], duplicates: pl.DataFrame, out: Path) -> tuple[int, int]:
    """Write kept and rejected rows, a few parts a shard; return how many there are of each."""
    fit_before, kept, rejected = 0, 0, 0
    for number, paths in enumerate(_groups(prepared)):
        rows = pl.concat([pl.read_parquet(path) for path in paths])
        is_fit = pl.col("reason") == ""
        rows = rows.with_columns(
            pl.when(is_fit).then(is_fit.cum_sum() - 1 + fit_before).cast(pl.UInt32).alias("row")
        )
        fit_before += rows.select(is_fit.sum()).item()
        judged = rows.join(duplicates, on="row", how="left", maintain_order="left").with_columns(
            pl.coalesce("reason_right", "reason").alias("reason"),
            pl.coalesce("detail_right", "detail").alias("detail"),
        )
        counts = write_judged(judged, CLEAN, out, number)
        kept, rejected = kept + counts[0], rejected + counts[1]
    return kept, rejected


def _groups(paths: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    for start in range(0, len(paths), PARTS_PER_SHARD):
        yield tuple(paths[start : start + PARTS_PER_SHARD])
