"""Temperature scaling: the right temperature, and never the articles that it is judged on."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from akd.evaluate.calibration import at_temperature, cross_scaled, fit_temperature
from akd.evaluate.metrics import expected_calibration_error


def _overconfident(n: int, by: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(z), and probabilities softmax(by * z)."""
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(n, 3)) * 1.5
    gold = np.array([draw.choice(3, p=row) for row in softmax(logits, axis=1)])
    return gold, softmax(by * logits, axis=1)


@pytest.mark.parametrize("by", [0.5, 3.0])
def test_the_temperature_undoes_too_much_and_too_little_confidence(by: float) -> None:
    gold, p = _overconfident(4000, by)
    assert fit_temperature(gold, p) == pytest.approx(by, rel=0.08)


def test_no_other_temperature_has_a_smaller_loss() -> None:
    gold, p = _overconfident(300, 2.0)
    fitted = fit_temperature(gold, p)
    best = log_loss(gold, at_temperature(p, fitted))
    for other in fitted * np.array([0.8, 0.99, 1.01, 1.25]):
        assert best < log_loss(gold, at_temperature(p, other))


def test_scaling_keeps_the_labels_and_lowers_the_calibration_error() -> None:
    gold, p = _overconfident(1000, 3.0)
    scaled, temperatures = cross_scaled(gold, p, seed=1)
    assert (scaled.argmax(1) == p.argmax(1)).all()
    np.testing.assert_allclose(scaled.sum(1), 1)
    assert set(temperatures) == {"first", "second"}
    before, after = (expected_calibration_error(gold, q, 10) for q in (p, scaled))
    assert after < before / 3


def test_no_article_is_scaled_by_its_own_gold_label() -> None:
    gold, p = _overconfident(60, 2.0)
    scaled, _ = cross_scaled(gold, p, seed=1)
    for article in range(60):
        other = gold.copy()
        other[article] = (gold[article] + 1) % 3
        changed = np.abs(cross_scaled(other, p, seed=1)[0] - scaled).max(axis=1) > 1e-9
        assert not changed[article]
        assert changed.sum() == 30  # the other half, to which its label gives the temperature


def test_the_halves_are_the_same_for_every_run_and_extremes_stay_finite() -> None:
    gold, p = _overconfident(51, 2.0)
    assert (cross_scaled(gold, p, seed=4)[0] == cross_scaled(gold, p, seed=4)[0]).all()
    certain = np.eye(3)[(gold + 1) % 3]  # always wrong, and sure of it
    scaled, temperatures = cross_scaled(gold, certain, seed=4)
    assert np.isfinite(scaled).all()
    assert all(0.05 <= value <= 20 for value in temperatures.values())
    assert cross_scaled(gold[:1], p[:1], seed=4)[1]["first"] > 0
