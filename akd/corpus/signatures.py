"""MinHash signatures (Broder 1997) of texts, and how they are cut into bands for LSH."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

Signatures = NDArray[np.uint32]
"""One row a text, one column a permutation."""

_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
"""A word, or one character of a script that writes without spaces."""

_RECALL = 0.99  # of pairs that lie just at the threshold


def shingles(text: str, size: int) -> Sequence[str]:
    """Return the runs of `size` tokens of a text; a shorter text is one shingle."""
    tokens = _TOKEN.findall(text.casefold())
    runs = list(map(" ".join, zip(*(tokens[start:] for start in range(size)), strict=False)))
    return runs or [" ".join(tokens)]


def signatures(texts: Sequence[str], permutations: int, shingle: int, seed: int) -> Signatures:
    """Return the MinHash signature of each text (n, permutations).

    The share of equal columns of two rows estimates the Jaccard index of their shingle sets, with
    a standard error of about 1 / sqrt(permutations).
    """
    if not texts:
        return np.empty((0, permutations), np.uint32)
    sets = [shingles(text, shingle) for text in texts]
    return np.array(RMinHash.digests_from_token_sets(sets, permutations, seed), np.uint32)


def rows_per_band(permutations: int, similarity: float) -> int:
    """Return the longest band with which LSH still finds the pairs at the threshold.

    Bands of r rows find a pair of Jaccard index s with probability 1 - (1 - s^r)^(permutations/r);
    the longer they are, the fewer pairs have to be looked at in vain.
    """
    fitting = [
        rows
        for rows in range(1, permutations + 1)
        if permutations % rows == 0
        and 1 - (1 - similarity**rows) ** (permutations // rows) >= _RECALL
    ]
    return max(fitting, default=1)
