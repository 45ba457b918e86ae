"""Verdicts: the rows of a shard that a step keeps, and those that it rejects with a reason."""

from pathlib import Path

import polars as pl

from akd.records import REJECTED


def write_judged(rows: pl.DataFrame, kept: pl.Schema, out: Path, number: int) -> tuple[int, int]:
    """Write shard `number` of the tables `out`/articles and `out`/rejected.

    Args:
        rows: with the columns of both tables; a row whose `reason` is empty is kept.
        kept: schema of the articles.

    Returns:
        How many rows are kept, and how many rejected.
    """
    is_kept = pl.col("reason") == ""
    articles = rows.filter(is_kept).select(kept.names())
    rejected = rows.filter(~is_kept).select(REJECTED.names())
    for name, table in (("articles", articles), ("rejected", rejected)):
        (out / name).mkdir(exist_ok=True)
        table.write_parquet(out / name / f"part-{number:05d}.parquet", compression="zstd")
    return articles.height, rejected.height
