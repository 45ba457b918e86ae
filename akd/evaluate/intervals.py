"""Bootstrap intervals: the same resamples of articles for every model, so that gaps are paired."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int_]


def draw_rows(articles: int, count: int, seed: int) -> Ints:
    """Return row numbers drawn with replacement (count, articles)."""
    return np.random.default_rng(seed).integers(articles, size=(count, articles))


def interval(
    statistic: Callable[[Ints], float], draws: Ints, confidence: float
) -> tuple[float, float]:
    """Return the percentile interval of a statistic of row numbers (Efron 1979)."""
    values = [statistic(rows) for rows in draws]
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def reflected(value: float, low: float, high: float) -> tuple[float, float]:
    """Return the basic interval of a statistic that is never negative (Davison and Hinkley 1997).

    Resampling adds to an error of calibration, whose percentiles may all lie above the value that
    was found: as far as they lie above it, the truth is taken to lie below.

    Args:
        value: that was found.
        low, high: the percentile interval, see `interval`.
    """
    return max(0.0, 2 * value - high), max(0.0, 2 * value - low)
