"""Samples that depend on ids alone, never on the order of rows."""

import hashlib
from collections import Counter
from collections.abc import Sequence


def digest(text: str) -> str:
    """Return 16 hex digits of a hash of the text."""
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]


def sample(ids: Sequence[str], size: int) -> list[int]:
    """Return the positions, rising, of the `size` ids with the smallest hash."""
    order = sorted(range(len(ids)), key=lambda row: (digest(ids[row]), row))
    return sorted(order[:size])


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
