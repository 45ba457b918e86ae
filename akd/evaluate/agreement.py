"""One model beside another on the same gold articles: who is right where, and do they agree."""

from typing import Any

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from akd.evaluate.intervals import Ints
from akd.evaluate.metrics import Floats


def against(gold: Ints, model: Floats, teacher: Floats) -> dict[str, Any]:
    """Return the model's agreement with the teacher and McNemar's test of their errors.

    Args:
        gold: label numbers (n,).
        model: probabilities (n, labels).
        teacher: probabilities (n, labels).

    Returns:
        `agreement`, the share of articles to which both give the same label; `kappa`, the same
        beyond chance (Cohen 1960), 0 where both give one label to all; `mcnemar`, see there.
    """
    said, taught = model.argmax(axis=1), teacher.argmax(axis=1)
    # With a single label kappa is 0 / 0, and no metrics file may hold NaN.
    several = len(np.union1d(said, taught)) > 1
    kappa = cohen_kappa_score(said, taught) if several else 0.0
    return {
        "agreement": agreement(model, teacher),
        "kappa": round(float(kappa), 6),
        "mcnemar": mcnemar(said == gold, taught == gold),
    }


def agreement(model: Floats, teacher: Floats) -> float:
    """Return the share of articles whose most probable label is the same."""
    return round(float((model.argmax(axis=1) == teacher.argmax(axis=1)).mean()), 6)


def mcnemar(right: np.ndarray, other_right: np.ndarray) -> dict[str, float]:
    """Return McNemar's exact test (1947) that two models are right equally often.

    Args:
        right: whether the model is right on each article (n,).
        other_right: whether the other one is (n,).

    Returns:
        `b`, articles on which the other alone is right; `c`, on which the model alone is; the
        `statistic` min(b, c); and `p`, two-sided, under Binomial(b + c, 1/2), six digits of it.
    """
    b, c = int((~right & other_right).sum()), int((right & ~other_right).sum())
    p = binomtest(min(b, c), b + c).pvalue if b + c else 1.0
    return {"b": b, "c": c, "statistic": min(b, c), "p": float(f"{p:.6g}")}
