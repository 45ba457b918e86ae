"""Accuracy over repeated runs on the same gold articles, with an interval over both."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from akd.evaluate.intervals import draw_rows, interval
from akd.params import Params


def over_runs_and_articles(rows: NDArray[np.float64], settings: Params) -> dict[str, Any]:
    """Return mean and interval of figures (runs, articles), and the mean of each run.

    Runs and articles are both drawn again (a bootstrap of two stages): the interval says how sure
    the mean is for other runs on other articles of their kind. Of one run, articles alone are.
    """
    count, resamples = len(rows), settings.evaluate.resamples
    runs = draw_rows(count, resamples, settings.seed)
    articles = draw_rows(rows.shape[1], resamples, settings.seed)
    low, high = interval(
        lambda drawn: float(rows[np.ix_(drawn[:count], drawn[count:])].mean()),
        np.hstack([runs, articles]),
        settings.evaluate.confidence,
    )
    return {
        "mean": round(float(rows.mean()), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "runs": [round(float(row.mean()), 4) for row in rows],
    }
