"""Curriculum: which articles a phase learns from, and what it learns about them."""

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray


def easiest(signals: pl.DataFrame, share: float) -> pl.DataFrame:
    """Return the share of the articles of which the teacher is surest, by entropy, in id order.

    The buckets are cumulative: what is easy stays when harder articles join ([POCL]).
    """
    wanted = math.ceil(share * signals.height)
    return signals.sort("entropy", "id").head(wanted).sort("id")


def group_probabilities(
    probabilities: NDArray[np.float64], groups: Sequence[int]
) -> NDArray[np.float64]:
    """Sum class probabilities (n, labels) over groups of labels: the simpler task (n, groups)."""
    summed = np.zeros((len(probabilities), max(groups) + 1))
    for label, group in enumerate(groups):
        summed[:, group] += probabilities[:, label]
    return summed
