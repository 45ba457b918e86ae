"""Metrics against scikit-learn, by hand, and by property."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, norm
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, recall_score

from akd.evaluate import metrics
from akd.evaluate.intervals import draw_rows, interval, reflected


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
    balanced = balanced_accuracy_score(gold, said)
    assert metrics.sensitivity(gold, p) == pytest.approx(balanced, abs=1e-12)
    negatives = [recall_score(gold != c, said != c) for c in range(4)]
    assert metrics.specificity(gold, p) == pytest.approx(np.mean(negatives), abs=1e-12)


def test_a_label_that_nobody_gave_lowers_no_macro_f1() -> None:
    gold = np.array([0, 1, 1, 0])
    p = np.eye(3)[gold]
    assert metrics.macro_f1(gold, p) == metrics.macro_f1(gold[:1], p[:1]) == 1.0
    missed = np.eye(3)[[0, 1, 2, 0]]
    expected = f1_score(gold, missed.argmax(1), average="macro", zero_division=0.0)
    assert metrics.macro_f1(gold, missed) == pytest.approx(expected)


def test_the_interval_of_a_calibration_error_is_around_it() -> None:
    """Of a calibrated model resampling makes errors that are larger than the one that is found."""
    draw, inside = np.random.default_rng(0), []
    for _ in range(20):
        p = draw.dirichlet(np.ones(3), size=300)
        gold = (p.cumsum(1) > draw.random((300, 1))).argmax(1)

        def error(rows: np.ndarray, gold: np.ndarray = gold, p: np.ndarray = p) -> float:
            return metrics.expected_calibration_error(gold[rows], p[rows], 10)

        value = error(np.arange(300))
        low, high = interval(error, draw_rows(300, 200, seed=1), 0.95)
        inside.append(reflected(value, low, high))
        assert low + high > 2 * value, "percentiles lie too high"
        assert inside[-1][0] <= value
    assert np.mean([low for low, _ in inside]) < 0.01, "it is calibrated"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_with_as_many_articles_of_each_label_one_mean_gives_the_other(
    seed: int, classes: int
) -> None:
    draw = np.random.default_rng(seed)
    gold = np.repeat(np.arange(classes), 12)
    p = draw.dirichlet(np.ones(classes), size=len(gold))
    recall = metrics.sensitivity(gold, p)
    assert metrics.specificity(gold, p) == pytest.approx(1 - (1 - recall) / (classes - 1))


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(2, 6), st.integers(1, 40))
def test_specificity_is_at_least_sensitivity(data: st.DataObject, classes: int, n: int) -> None:
    """Single labels, however rare or absent.

    An article of label k that is taken for c costs the sensitivity 1 / n_k and the specificity
    1 / (N - n_c), and N - n_c >= n_k.
    """
    labels = st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)
    gold, said = np.array(data.draw(labels)), np.array(data.draw(labels))
    p = np.eye(classes)[said]
    assert metrics.specificity(gold, p) >= metrics.sensitivity(gold, p) - 1e-12


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bins", [1, 7, 15])
def test_calibration_error_agrees_with_its_definition(seed: int, bins: int) -> None:
    gold, p = _random(seed, n=200)
    confidence, right = p.max(1), p.argmax(1) == gold
    total = 0.0
    for low in np.arange(bins) / bins:
        inside = (confidence >= low) & (confidence < low + 1 / bins)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert metrics.expected_calibration_error(gold, p, bins) == pytest.approx(total, abs=1e-12)


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


def test_the_interval_of_accuracy_agrees_with_scipy() -> None:
    n, resamples = 250, 4000
    gold, p = _random(3, n=n)
    p[np.arange(n) % 2 == 0, gold[::2]] += 1  # right in some six of ten
    right = (p.argmax(1) == gold).astype(float)
    draws = draw_rows(n, resamples, seed=1)
    ours = interval(lambda rows: metrics.accuracy(gold[rows], p[rows]), draws, 0.95)
    theirs = bootstrap(
        (right,), np.mean, n_resamples=resamples, confidence_level=0.95, method="percentile", rng=2
    ).confidence_interval
    # Standard error of an estimated quantile, sqrt(q (1 - q) / resamples) / density, of both.
    spread = right.std() / np.sqrt(n)
    error = np.sqrt(2 * 0.025 * 0.975 / resamples) / (norm.pdf(norm.ppf(0.025)) / spread)
    step = 1 / n  # accuracy moves in such steps
    assert ours == pytest.approx(tuple(theirs), abs=4 * error + step)
    assert 4 * error + step < (ours[1] - ours[0]) / 6
