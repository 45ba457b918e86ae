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
