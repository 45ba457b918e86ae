"""Metrics against scikit-learn, by hand, and by property."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, recall_score

from akd.evaluate import metrics
from akd.evaluate.intervals import draw_rows, interval


def _random(seed: int, n: int = 60, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.integers(classes, size=n), draw.dirichlet(np.ones(classes), size=n)


@pytest.mark.parametrize("seed", range(5))
def test_metrics_agree_with_scikit_learn(seed: int) -> None:
    gold, p = _random(seed)
    said = p.argmax(1)
    assert metrics.accuracy(gold, p) == pytest.approx(accuracy_score(gold, said), abs=1e-12)
    assert metrics.macro_f1(gold, p) == pytest.approx(
        f1_score(gold, said, average="macro"), abs=1e-12
    )
    recalls = recall_score(gold, said, average="macro")
    assert metrics.sensitivity(gold, p) == pytest.approx(recalls, abs=1e-12)
    negatives = [recall_score(gold != c, said != c) for c in range(4)]
    assert metrics.specificity(gold, p) == pytest.approx(np.mean(negatives), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_specificity_is_at_least_sensitivity_for_better_than_chance(
    seed: int, classes: int
) -> None:
    """With as many articles of each label: specificity = 1 - (1 - sensitivity) / (C - 1)."""
    draw = np.random.default_rng(seed)
    gold = np.repeat(np.arange(classes), 12)
    p = draw.dirichlet(np.ones(classes), size=len(gold))
    recall = metrics.sensitivity(gold, p)
    assert metrics.specificity(gold, p) == pytest.approx(1 - (1 - recall) / (classes - 1))
    assert metrics.specificity(gold, p) >= recall - 1e-12


def test_calibration_error_by_hand() -> None:
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    gold = np.array([0, 1, 0, 1])
    expected = (2 * abs(0.9 - 0.5) + 2 * abs(0.6 - 1.0)) / 4
    assert metrics.expected_calibration_error(gold, p, 10) == pytest.approx(expected)


def test_a_label_that_nothing_has_does_not_break_the_means() -> None:
    gold, p = np.array([0, 0, 0]), np.array([[0.9, 0.1]] * 3)
    values = {name: f(gold, p) for name, f in metrics.metric_functions(10).items()}
    assert values["accuracy"] == values["sensitivity"] == 1.0
    assert all(np.isfinite(value) for value in values.values())


def test_intervals_hold_the_value_and_shrink_with_n() -> None:
    widths = []
    for n in (50, 2000):
        gold, p = _random(1, n=n)
        draws = draw_rows(n, 400, seed=1)
        low, high = interval(lambda r, g=gold, q=p: metrics.accuracy(g[r], q[r]), draws, 0.95)
        assert low <= metrics.accuracy(gold, p) <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 3
    assert (draw_rows(10, 3, 1) == draw_rows(10, 3, 1)).all()
