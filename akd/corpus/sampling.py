"""Samples that depend on ids alone, never on the order of rows."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from akd.io import table_shards


def digest(text: str) -> str:
    """Return 16 hex digits of a hash of the text."""
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]


def sample(ids: Sequence[str], size: int) -> list[int]:
    """Return the positions, rising, of the `size` ids with the smallest hash."""
    order = sorted(range(len(ids)), key=lambda row: (digest(ids[row]), row))
    return sorted(order[:size])


def sampled_texts(clean: Path, size: int) -> list[str]:
    """Return the texts of `sample` of the clean articles; in memory are all ids, and these texts.

    Args:
        clean: what the clean stage wrote.
        size: how many at most.
    """
    articles = pl.scan_parquet(table_shards(clean / "articles"))
    ids = articles.select("id").collect()["id"]
    chosen = ids.gather(sample(ids.to_list(), size))
    found = articles.filter(pl.col("id").is_in(chosen.implode())).select("id", "text").collect()
    return found.sort("id")["text"].to_list()


def balanced_sample(ids: Sequence[str], groups: Sequence[str], size: int) -> list[int]:
    """Return the positions, rising, of `size` ids, as many of each group as there are.

    A group that has fewer gives them all, and the others share what it leaves.
    """
    seen: Counter[str] = Counter()
    turns = []
    for row in sorted(range(len(ids)), key=lambda row: (digest(ids[row]), row)):
        turns.append((seen[groups[row]], digest(ids[row]), row))
        seen[groups[row]] += 1
    return sorted(row for _, _, row in sorted(turns)[:size])
