"""Samples that depend on ids alone, never on the order of rows."""

import hashlib
from collections.abc import Sequence


def digest(text: str) -> str:
    """Return 16 hex digits of a hash of the text."""
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]


def sample(ids: Sequence[str], size: int) -> list[int]:
    """Return the positions, rising, of the `size` ids with the smallest hash."""
    order = sorted(range(len(ids)), key=lambda row: (digest(ids[row]), row))
    return sorted(order[:size])
