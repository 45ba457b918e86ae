"""Accuracy over repeated runs on the same gold articles, with an interval over either."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import sem, t

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


def over_runs(rows: NDArray[np.float64], settings: Params) -> dict[str, Any]:
    """Return mean of figures (runs, articles), the mean of each run, and an interval over the runs.

    Student's t: it says where the mean of other runs would lie, on the same articles. One run has
    no interval.
    """
    runs = rows.mean(axis=1)
    found: dict[str, Any] = {"mean": round(float(runs.mean()), 4)}
    if len(runs) > 1:
        reach = t.ppf((1 + settings.evaluate.confidence) / 2, len(runs) - 1) * sem(runs)
        found |= {
            "low": round(float(runs.mean() - reach), 4),
            "high": round(float(runs.mean() + reach), 4),
        }
    return {**found, "runs": [round(float(run), 4) for run in runs]}
