"""Metrics of a classifier on gold labels ([ANON] table 2)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]
Metric = Callable[[Ints, Floats], float]
"""From gold label numbers (n,) and probabilities (n, labels) to a figure."""


def accuracy(gold: Ints, probabilities: Floats) -> float:
    """Return the share of articles whose most probable label is the gold one."""
    return float((probabilities.argmax(axis=1) == gold).mean())


def macro_f1(gold: Ints, probabilities: Floats) -> float:
    """Return the mean of F1 over the labels that are gold or predicted, as scikit-learn does."""
    matrix = _confusion(gold, probabilities)
    true, found = np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1)
    present = found > 0
    return float((2 * true[present] / found[present]).mean())


def sensitivity(gold: Ints, probabilities: Floats) -> float:
    """Return the mean over the labels that occur in gold of TP / (TP + FN)."""
    matrix = _confusion(gold, probabilities)
    present = matrix.sum(axis=1) > 0
    return float((np.diag(matrix)[present] / matrix.sum(axis=1)[present]).mean())


def specificity(gold: Ints, probabilities: Floats) -> float:
    """Return the mean over labels of TN / (TN + FP); a label that all gold has counts as 1."""
    matrix = _confusion(gold, probabilities)
    total, true = matrix.sum(), np.diag(matrix)
    negatives = total - matrix.sum(axis=1)
    false_positives = matrix.sum(axis=0) - true
    rates = np.ones(len(matrix))
    np.divide(negatives - false_positives, negatives, out=rates, where=negatives > 0)
    return float(rates.mean())


def expected_calibration_error(gold: Ints, probabilities: Floats, bins: int) -> float:
    """Return ECE: mean |confidence - accuracy| over equal-width bins (Guo et al. 2017)."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == gold
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    sizes = np.bincount(number, minlength=bins)
    distance = np.bincount(number, confidence, bins) - np.bincount(number, correct, bins)
    return float(np.abs(distance).sum() / sizes.sum())


def metric_functions(bins: int) -> dict[str, Metric]:
    """Return every metric under its name in metrics/evaluate.json."""
    return {
        "accuracy": accuracy,
        "macro_f1": macro_f1,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ece": lambda gold, probabilities: expected_calibration_error(gold, probabilities, bins),
    }


def _confusion(gold: Ints, probabilities: Floats) -> Ints:
    """Return counts (gold, predicted).

    A bootstrap asks some 20,000 times; scikit-learn's function checks its input at each of them.
    """
    labels = probabilities.shape[1]
    cells = gold * labels + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=labels**2).reshape(labels, labels)
