"""The headline: every model on the same gold articles, with paired bootstrap intervals."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from akd.evaluate.agreement import against, agreement
from akd.evaluate.calibration import cross_scaled
from akd.evaluate.intervals import Ints, draw_rows, interval, reflected
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

    Every model meets the same bootstrap resamples, so that the gaps are paired. `ece_scaled` is the
    calibration error after temperature scaling, see `cross_scaled`; its interval holds the
    temperatures fixed. Intervals are percentiles, and of calibration errors `reflected`.

    Args:
        gold: label numbers (n,).
        probabilities: of each model in `MODELS` (n, labels).
        bins: of the calibration error.
        resamples: of the bootstrap.
        confidence: of the intervals.
        seed: of the resamples, and of the halves on which temperatures are fitted.
    """
    draws = draw_rows(len(gold), resamples, seed)
    functions = metric_functions(bins)
    report: dict[str, Any] = {}
    for name in MODELS:
        found = probabilities[name]
        scaled, temperatures = cross_scaled(gold, found, seed)
        rated = {metric: (function, found) for metric, function in functions.items()}
        rated["ece_scaled"] = (functions["ece"], scaled)
        values: dict[str, Any] = {}
        intervals = {}
        for metric, (function, judged) in rated.items():
            value = function(gold, judged)
            low, high = interval(partial(_resampled, function, gold, judged), draws, confidence)
            if function is functions["ece"]:
                low, high = reflected(value, low, high)
            values[metric] = round(value, 6)
            intervals[metric] = {"low": round(low, 6), "high": round(high, 6)}
        report[name] = {**values, "interval": intervals, "temperature": temperatures}
    report["against_teacher"] = {
        name: against(gold, probabilities[name], probabilities["teacher"])
        for name in MODELS
        if name != "teacher"
    }
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
    """Return for each group its size, each model's accuracy, and the student's agreement.

    `agreement` is the share of the group to which student and teacher give the same label.
    """
    names: NDArray[np.str_] = np.array(groups)
    report = {}
    for group in sorted(set(groups) - {""}):
        inside = names == group
        values = {m: round(accuracy(gold[inside], probabilities[m][inside]), 6) for m in MODELS}
        agreed = agreement(probabilities["student"][inside], probabilities["teacher"][inside])
        report[group] = {"n": int(inside.sum()), **values, "agreement": agreed}
    return report


def by_groups(
    gold: Ints, probabilities: Mapping[str, Floats], articles: pl.DataFrame
) -> dict[str, dict[str, Any]]:
    """Return `by_group` for the domain, the language and the length of the articles.

    `length_up_to_characters` says where the thirds `short` and `medium` of `by_length` end.
    """
    lengths, ends = length_groups(articles["text"].to_list())
    columns = {
        "domain": articles["domain"].to_list(),
        "language": articles["language"].to_list(),
        "length": lengths,
    }
    report: dict[str, dict[str, Any]] = {
        f"by_{name}": by_group(gold, probabilities, groups) for name, groups in columns.items()
    }
    return {**report, "length_up_to_characters": ends}


def length_groups(texts: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    """Return to which third by length each text belongs, and where the thirds end.

    Returns:
        `short`, `medium` or `long` for each text (n), and the most characters of a short and of a
        medium one. Texts of one length are in one third, so that thirds may differ in size.
    """
    lengths = np.array([len(text) for text in texts])
    short, medium = (int(end) for end in np.quantile(lengths, [1 / 3, 2 / 3], method="lower"))
    groups = np.select([lengths <= short, lengths <= medium], ["short", "medium"], "long")
    return groups.tolist(), {"short": short, "medium": medium}


def error_table(
    articles: pl.DataFrame, gold: Ints, probabilities: Mapping[str, Floats], labels: Sequence[str]
) -> pl.DataFrame:
    """Return the student's mistakes, the one it is surest of first.

    Args:
        articles: the gold articles with id, domain and language (n rows). Their texts, which belong
            to their publishers, are left out: the table is kept in git.
        gold: label numbers (n,).
        probabilities: of teacher and student (n, labels).
        labels: names of the labels.

    Returns:
        Columns id, gold, teacher, student, confidence (of the student), domain, language.
    """
    names, student = np.array(labels), probabilities["student"]
    table = articles.select(
        "id",
        pl.Series("gold", names[gold]),
        pl.Series("teacher", names[probabilities["teacher"].argmax(axis=1)]),
        pl.Series("student", names[student.argmax(axis=1)]),
        pl.Series("confidence", student.max(axis=1)),
        "domain",
        "language",
    )
    mistakes = table.filter(pl.col("student") != pl.col("gold"))
    return mistakes.sort("confidence", "id", descending=[True, False])
