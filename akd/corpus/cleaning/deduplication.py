"""Deduplication across shards: from ids, text hashes and signatures to who repeats whom.

Everything is judged in one order of the rows, by id, so that the order in which articles arrived
does not matter. Signatures are read one column at a time: what is in memory are a few numbers for
each article, never an article.
"""

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from akd.console import progress
from akd.corpus.signatures import rows_per_band

Column = Callable[[int], NDArray[np.uint32]]
"""From the number of a permutation to that column of all signatures (n,)."""
Ints = NDArray[np.int64]

_NEIGHBOURS = 8  # members of a bucket with which each member is compared, besides the first


def find_duplicates(
    entries: pl.DataFrame, column: Column, *, permutations: int, similarity: float
) -> pl.DataFrame:
    """Return the rows that repeat another one.

    Args:
        entries: `id`, `text_hash` (u64) and `rest_hash` (u64, of all else that tells rows apart) of
            each fit article.
        column: of the signatures, in the order of `entries`.
        permutations: how many columns there are.
        similarity: Jaccard index from which two texts are near duplicates.

    Returns:
        `row` (in `entries`), `reason` and `detail` (the id of the row that is kept).
    """
    ranked = entries.with_row_index("row").sort("id", "text_hash", "rest_hash")
    rows, ids = ranked["row"].to_numpy(), ranked["id"]
    original = np.full(len(rows), -1, np.int64)
    reasons = np.full(len(rows), "", dtype=object)
    for keys, reason in (
        (["id", "text_hash"], "duplicate_id"),
        (["id"], "conflicting_id"),  # the same id with another text
        (["text_hash"], "exact_duplicate"),
    ):
        open_ = np.flatnonzero(original < 0)
        first = ranked[open_].with_columns(pl.Series("rank", open_))
        first_rank = first.select(pl.col("rank").min().over(keys)).to_series().to_numpy()
        repeats = first_rank < open_
        original[open_[repeats]], reasons[open_[repeats]] = first_rank[repeats], reason
    open_ = np.flatnonzero(original < 0)
    near = _near(lambda number: column(number)[rows[open_]], len(open_), permutations, similarity)
    repeats = near >= 0
    original[open_[repeats]] = open_[near[repeats]]
    reasons[open_[repeats]] = "near_duplicate"
    found = np.flatnonzero(original >= 0)
    return pl.DataFrame(
        {
            "row": rows[found],
            "reason": pl.Series(reasons[found].tolist(), dtype=pl.String),
            "detail": ids.gather(original[found]),
        }
    )


def _near(column: Column, size: int, permutations: int, similarity: float) -> Ints:
    """Return for each row the most similar earlier row that is kept, or -1 (size,)."""
    pairs = _candidates(column, permutations, rows_per_band(permutations, similarity))
    earlier, later = pairs >> 32, pairs & 0xFFFFFFFF
    equal = np.zeros(len(pairs), np.int64)
    for number in range(permutations):
        values = column(number)
        equal += values[earlier] == values[later]
    similar = equal >= similarity * permutations
    earlier, later, equal = earlier[similar], later[similar], equal[similar]
    original = np.full(size, -1, np.int64)
    # By the later row, the most similar partner first: by then all partners are judged.
    for position in np.lexsort((earlier, -equal, later)):
        if original[later[position]] < 0 and original[earlier[position]] < 0:
            original[later[position]] = earlier[position]
    return original


def _candidates(column: Column, permutations: int, rows: int) -> Ints:
    """Return the pairs that share a band, each as `earlier << 32 | later`."""
    found: Ints = np.empty(0, np.int64)
    bands = range(0, permutations, rows)
    for start in progress(bands, description="near duplicates", unit="band"):
        key = np.zeros(len(column(start)), np.uint64)
        for number in range(start, start + rows):
            # What collides here by accident is told apart when all columns are compared.
            key = key * np.uint64(0x9E3779B97F4A7C15) + column(number)
        found = np.union1d(found, _pairs_in_buckets(key))
    return found


def _pairs_in_buckets(key: NDArray[np.uint64]) -> Ints:
    """Pair the rows of one key: each with the first of them, and with its nearest neighbours.

    In a bucket of m rows that is at most 9 m pairs instead of m^2 / 2.
    """
    order = np.argsort(key, kind="stable").astype(np.int64)
    ordered = key[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(key) else order
    first = np.repeat(order[starts], np.diff(np.r_[starts, len(key)]))
    pairs = [(first[first != order] << 32) | order[first != order]]
    for lag in range(1, _NEIGHBOURS + 1):
        same = ordered[lag:] == ordered[:-lag]
        pairs.append((order[:-lag][same] << 32) | order[lag:][same])
    return np.unique(np.concatenate(pairs))
