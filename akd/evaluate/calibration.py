"""Temperature scaling, fitted on other articles than those that it is judged on."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from akd.evaluate.intervals import Ints
from akd.evaluate.metrics import Floats

HALVES = ("first", "second")
_LOWEST = 1e-12
"""A label that a model holds for impossible; its logarithm must be finite to be divided."""
_BOUNDS = (0.05, 20.0)
"""Temperatures that are tried; a model that is always right, or knows nothing, ends at one."""


def cross_scaled(gold: Ints, probabilities: Floats, seed: int) -> tuple[Floats, dict[str, float]]:
    """Return probabilities scaled by a temperature that their own gold labels did not choose.

    The articles are dealt into two halves by the seed, the same ones for every model, and each half
    is scaled by the temperature of the other. Twenty shots would be the only other annotated
    articles, and the teacher's calibration has already seen those.

    Args:
        gold: label numbers (n,).
        probabilities: of one model (n, labels).
        seed: of the halves.

    Returns:
        Scaled probabilities (n, labels), and the temperature fitted on each of `HALVES`.
    """
    half = np.random.default_rng(seed).permutation(len(gold)) % 2
    scaled, temperatures = np.empty_like(probabilities), {}
    for number, name in enumerate(HALVES):
        inside = half == number
        fitted = fit_temperature(gold[inside], probabilities[inside])
        scaled[~inside] = at_temperature(probabilities[~inside], fitted)
        temperatures[name] = round(fitted, 6)
    return scaled, temperatures


def fit_temperature(gold: Ints, probabilities: Floats) -> float:
    """Return the T that minimises the negative log-likelihood of gold (Guo et al. 2017, 4.2).

    T > 1 where the model is too sure of itself; without articles T = 1. The likelihood judges all
    labels, the calibration error the chosen one alone: where a model expects other shares of the
    labels than gold has, the best T can leave a larger calibration error than T = 1.
    """
    if not len(gold):
        return 1.0
    logits, rows = _logits(probabilities), np.arange(len(gold))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(logits / np.exp(log_temperature), axis=1)[rows, gold].mean())

    found = minimize_scalar(
        loss, bounds=tuple(np.log(_BOUNDS)), method="bounded", options={"xatol": 1e-9}
    )
    return float(np.exp(found.x))


def at_temperature(probabilities: Floats, temperature: float) -> Floats:
    """Return softmax(log p / T) (n, labels): another confidence, the same most probable label."""
    return np.asarray(softmax(_logits(probabilities) / temperature, axis=1))


def _logits(probabilities: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(probabilities, _LOWEST)))
