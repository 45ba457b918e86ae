"""The headline: every model on the same gold articles, with paired bootstrap intervals."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from akd.evaluate.intervals import Ints, draw_rows, interval
from akd.evaluate.metrics import Floats, Metric, accuracy, metric_functions
from akd.records import PREDICTION

MODELS = ("teacher", "student_base", "student", "tfidf")
"""The rows of the table, in this order."""


def headline(
    gold: Ints,
    probabilities: Mapping[str, Floats],
    *,
    bins: int,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """Return all metrics of all models and the gaps of the student, each with its interval.

    Every model meets the same bootstrap resamples, so that the gaps are paired.

    Args:
        gold: label numbers (n,).
        probabilities: of each model in `MODELS` (n, labels).
        bins: of the calibration error.
        resamples: of the bootstrap.
        confidence: of the intervals.
        seed: of the resamples.
    """
    draws = draw_rows(len(gold), resamples, seed)
    report: dict[str, Any] = {}
    for name in MODELS:
        found = probabilities[name]
        values: dict[str, Any] = {}
        intervals = {}
        for metric, function in metric_functions(bins).items():
            low, high = interval(partial(_resampled, function, gold, found), draws, confidence)
            values[metric] = round(function(gold, found), 6)
            intervals[metric] = {"low": round(low, 6), "high": round(high, 6)}
        report[name] = {**values, "interval": intervals}
    report["gap"] = {
        f"student_minus_{other}": _gap(
            gold, probabilities["student"], probabilities[other], draws, confidence
        )
        for other in ("teacher", "tfidf")
    }
    return report


def _resampled(metric: Metric, gold: Ints, found: Floats, rows: Ints) -> float:
    return metric(gold[rows], found[rows])


def _gap(
    gold: Ints, student: Floats, other: Floats, draws: Ints, confidence: float
) -> dict[str, float]:
    """Return the student's accuracy minus the other's, with its paired interval."""

    def difference(rows: Ints) -> float:
        return accuracy(gold[rows], student[rows]) - accuracy(gold[rows], other[rows])

    low, high = interval(difference, draws, confidence)
    value = difference(np.arange(len(gold)))
    return {"accuracy": round(value, 6), "low": round(low, 6), "high": round(high, 6)}


def prediction_table(
    ids: Sequence[str], gold: Ints, probabilities: Mapping[str, Floats], labels: Sequence[str]
) -> pl.DataFrame:
    """Return what each model says of each gold article (`records.PREDICTION`)."""
    names = np.array(labels)
    frames = [
        pl.DataFrame(
            {
                "id": list(ids),
                "gold": names[gold].tolist(),
                "model": [model] * len(ids),
                "label": names[probabilities[model].argmax(axis=1)].tolist(),
                "confidence": probabilities[model].max(axis=1),
                "probabilities": probabilities[model].tolist(),
            },
            schema=PREDICTION,
        )
        for model in MODELS
    ]
    return pl.concat(frames)


def confusion_table(gold: Ints, probabilities: Floats, labels: Sequence[str]) -> pl.DataFrame:
    """Return actual and predicted label of each article, as DVC's confusion plot reads them."""
    names = np.array(labels)
    return pl.DataFrame(
        {"actual": names[gold].tolist(), "predicted": names[probabilities.argmax(axis=1)].tolist()}
    )


def reliability_table(gold: Ints, probabilities: Mapping[str, Floats], bins: int) -> pl.DataFrame:
    """Return confidence and accuracy of each model in each bin of confidence that is not empty."""
    rows: list[tuple[str, float, float, int]] = []
    for model in ("teacher", "student"):
        confidence = probabilities[model].max(axis=1)
        correct = probabilities[model].argmax(axis=1) == gold
        number = np.minimum((confidence * bins).astype(int), bins - 1)
        for bin_ in np.unique(number):
            inside = number == bin_
            mean = (float(values[inside].mean()) for values in (confidence, correct))
            rows.append((model, *mean, int(inside.sum())))  # type: ignore[arg-type]
    return pl.DataFrame(rows, schema=["model", "confidence", "accuracy", "articles"], orient="row")


def by_group(
    gold: Ints, probabilities: Mapping[str, Floats], groups: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return for each group of articles its size and the accuracy of each model."""
    names: NDArray[np.str_] = np.array(groups)
    report = {}
    for group in sorted(set(groups) - {""}):
        inside = names == group
        values = {m: round(accuracy(gold[inside], probabilities[m][inside]), 6) for m in MODELS}
        report[group] = {"n": int(inside.sum()), **values}
    return report


def by_groups(
    gold: Ints, probabilities: Mapping[str, Floats], groups: pl.DataFrame
) -> dict[str, dict[str, dict[str, float]]]:
    """Return `by_group` for each column of a table of group names."""
    return {
        f"by_{column}": by_group(gold, probabilities, groups[column].to_list())
        for column in groups.columns
    }
