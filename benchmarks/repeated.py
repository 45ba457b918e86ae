"""Accuracy over repeated runs on the same gold articles, with an interval over the articles."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from akd.evaluate.intervals import draw_rows, interval
from akd.params import Params


def over_articles(rows: NDArray[np.float64], settings: Params) -> dict[str, Any]:
    """Return mean and interval of figures (runs, articles), and the mean of each run.

    The articles are drawn again for the interval, the runs are not: it says how sure the mean of
    these runs is, and the runs beside it how far they lie apart.
    """
    resamples = draw_rows(rows.shape[1], settings.evaluate.resamples, settings.seed)
    means = rows.mean(axis=0)
    low, high = interval(
        lambda chosen: float(means[chosen].mean()), resamples, settings.evaluate.confidence
    )
    return {
        "mean": round(float(means.mean()), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "runs": [round(float(row.mean()), 4) for row in rows],
    }
