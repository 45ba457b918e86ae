"""Calibration: from what the teacher says (and knows inside) to class probabilities.

Every kind is one formula over the scores of a text x, with probes that may be none at all:

    log p(c|x)  ~  w (log p_prompt(c|x) - log prior(c))  +  sum over probes v log p_probe(c|x) / T
                   +  log share(c)

All kinds but `none` push towards classes of one size, and class-balanced probes do, too: where a
person knows better, `share` says how many of the articles are of each class; else it is flat.
`none` has w = 1, a flat prior and no probe. The prior of `batch` (batch calibration, Zhou et al.
2023) is the mean of p_prompt over unlabelled articles, that of `contextual` (Zhao et al. 2021) over
texts without content, that of `pmi_dc` (Holtzman et al. 2021) what the prompt says of no text at
all, its domain premise; probes stand beside `batch`. `shots_probe` has w = 0. For the other weights
candidates (each w, each strength of regularisation, the prompt alone) are averaged: 20 shots
cannot tell them apart, and the best of several looks better than it is. A candidate whose mean
leave-one-out log-probability is one standard error lower counts e times less.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from scipy.stats import sem
from sklearn.linear_model import LogisticRegression

from akd.errors import InputError
from akd.records import Scores
from akd.specs.prompts import Calibration

Array = NDArray[np.float64]

_WITHOUT_CONTENT = {"contextual": ("N/A", "[MASK]", ""), "pmi_dc": ("",)}
_SMALLEST_ERROR = 1e-3  # nats: shots that all look alike tell nothing of the error


@dataclass(frozen=True)
class Probe:
    """A linear classifier on the standardised state after one block.

    Attributes:
        block: position of the block among those of `Scores.states`.
        weight: of its log-probabilities among those of all probes.
        center, scale: of the state over unlabelled articles (width,).
        coefficients, intercepts: of the logistic regression (labels, width) and (labels,).
    """

    block: int
    weight: float
    center: Array
    scale: Array
    coefficients: Array
    intercepts: Array

    def log_probabilities(self, scores: Scores) -> Array:
        """Return log p_probe (n, labels)."""
        states = (scores.states[:, self.block] - self.center) / self.scale
        return np.asarray(log_softmax(states @ self.coefficients.T + self.intercepts, axis=1))


@dataclass(frozen=True)
class Calibrator:
    """A fitted calibration; see the module for its formula."""

    prior: Array  # log of the prior (labels,)
    prompt_weight: float
    probes: Sequence[Probe]
    temperature: float
    share: Array  # log of the expected share of each class, up to a constant (labels,)

    def probabilities(self, scores: Scores) -> Array:
        """Return the calibrated class probabilities (n, labels)."""
        logits = self.prompt_weight * (class_log_probabilities(scores) - self.prior)
        for probe in self.probes:
            logits = logits + probe.weight * probe.log_probabilities(scores) / self.temperature
        return np.asarray(softmax(logits + self.share, axis=1))


def class_log_probabilities(scores: Scores) -> Array:
    """Return log p_prompt (n, labels), normalised over the labels."""
    return np.asarray(log_softmax(scores.log_probabilities.astype(np.float64), axis=1))


def batch_prior(scores: Scores) -> Array:
    """Return the log of the mean class probabilities over the texts (labels,)."""
    return np.asarray(np.log(np.exp(class_log_probabilities(scores)).mean(axis=0)))


def prior_texts(spec: Calibration, unlabelled: Sequence[str]) -> Sequence[str]:
    """Return the texts whose scores `fit` takes its prior from: most often the articles."""
    return _WITHOUT_CONTENT.get(spec.kind, unlabelled)


def fit(spec: Calibration, unlabelled: Scores, shots: Scores, labels: Sequence[int]) -> Calibrator:
    """Fit a calibration on scored shots with their labels and on what the prior is taken from.

    Args:
        unlabelled: scores of `prior_texts`.

    Raises:
        InputError: if a probe is wanted and some class has fewer than two shots.
    """
    flat = np.zeros(unlabelled.log_probabilities.shape[1])
    match spec.kind:
        case "none":
            return Calibrator(flat, 1.0, [], 1.0, flat)
        case "batch" | "contextual" | "pmi_dc":
            return Calibrator(batch_prior(unlabelled), 1.0, [], 1.0, flat)
        case "shots_probe":
            return _with_probes(spec, [0.0], False, unlabelled, shots, labels)
        case "auto":
            return _with_probes(spec, spec.weights, True, unlabelled, shots, labels)
        case _:
            assert_never(spec.kind)


def check_shots(labels: Sequence[int], classes: int) -> None:
    """Refuse shots, by their labels, on which no probe can be fitted.

    Raises:
        InputError: if some class has fewer than two.
    """
    counts = np.bincount(np.asarray(labels, dtype=int), minlength=classes)
    if counts.min() < 2:
        raise InputError(
            f"the smallest of {classes} classes has {counts.min()} of the {len(labels)} shots that "
            f"the prompt does not show, but a probe needs 2 of each: annotate more, let "
            f"`prompt.shots` take {2 * classes} or more, let a pin show fewer, or choose "
            "`prompt.calibration.kind: batch`"
        )


def _with_probes(
    settings: Calibration,
    weights: Sequence[float],
    prompt_alone: bool,
    unlabelled: Scores,
    shots: Scores,
    labels: Sequence[int],
) -> Calibrator:
    classes = unlabelled.log_probabilities.shape[1]
    check_shots(labels, classes)
    prior = batch_prior(unlabelled)
    target = np.asarray(labels)
    said = class_log_probabilities(shots) - prior
    known = _leave_one_out(settings.strengths, unlabelled, shots, target)
    # Each candidate is (weight of the prompt, strength of the probes; None without probes).
    candidates: list[tuple[float, float | None]] = [(1.0, None)] if prompt_alone else []
    candidates += itertools.product(weights, settings.strengths)
    logits = [
        weight * said + (0.0 if strength is None else known[strength] / settings.temperature)
        for weight, strength in candidates
    ]
    shares = _shares([log_probabilities(found, target) for found in logits])
    prompt_weight = float(sum(s * w for s, (w, _) in zip(shares, candidates, strict=True)))
    blocks = range(unlabelled.states.shape[1])
    probes = [
        _fit_probe(block, strength, share / len(blocks), unlabelled, shots, target)
        for strength in settings.strengths
        for share in [sum(s for s, (_, c) in zip(shares, candidates, strict=True) if c == strength)]
        for block in blocks
    ]
    return Calibrator(prior, prompt_weight, probes, settings.temperature, np.zeros(classes))


def expected(spec: Calibration, labels: Sequence[str]) -> Array:
    """Return the log of the expected share of each label (labels,); zeros where none is named.

    Raises:
        InputError: if the shares are of other labels.
    """
    if not spec.shares:
        return np.zeros(len(labels))
    if spec.shares.keys() != set(labels):
        raise InputError(
            f"prompt.calibration.shares names {', '.join(spec.shares)}, and the labels of the task "
            f"are {', '.join(labels)}: name these, or none"
        )
    return np.log([spec.shares[label] for label in labels])


def _shares(told: Sequence[Array]) -> list[float]:
    """Return the share of each candidate, from its log-probabilities of the shots' labels."""
    scores = np.array([values.mean() for values in told])
    best = told[int(scores.argmax())]
    shares: list[float] = softmax(scores / max(float(sem(best)), _SMALLEST_ERROR)).tolist()
    return shares


def log_probabilities(logits: Array, target: NDArray[np.int_]) -> Array:
    """Return log softmax(logits) of each row at its target (n,)."""
    return np.asarray(log_softmax(logits, axis=1)[np.arange(len(target)), target])


def _leave_one_out(
    strengths: Sequence[float], unlabelled: Scores, shots: Scores, target: NDArray[np.int_]
) -> dict[float, Array]:
    """Return for each strength the mean over blocks of log p_probe of each shot, fitted without it.

    The arrays are (shots, labels).
    """
    blocks = range(shots.states.shape[1])
    found = {}
    for strength in strengths:
        rows = []
        for left_out in range(len(target)):
            rest = np.delete(np.arange(len(target)), left_out)
            others, alone = select(shots, rest), select(shots, [left_out])
            probes = [
                _fit_probe(b, strength, 1.0, unlabelled, others, target[rest]) for b in blocks
            ]
            rows.append(np.mean([probe.log_probabilities(alone)[0] for probe in probes], axis=0))
        found[strength] = np.array(rows)
    return found


def _fit_probe(
    block: int,
    strength: float,
    weight: float,
    unlabelled: Scores,
    shots: Scores,
    target: NDArray[np.int_],
) -> Probe:
    """Fit a class-balanced logistic regression; the scaler comes from unlabelled articles.

    The solution lies in the span of the shots (L2 penalty), so that it is sought there: 20 numbers
    a label instead of the model's width.
    """
    center = unlabelled.states[:, block].mean(axis=0, dtype=np.float64)
    scale = unlabelled.states[:, block].std(axis=0, dtype=np.float64) + 1e-6
    states = (shots.states[:, block] - center) / scale
    span = np.linalg.svd(states, full_matrices=False)[2]
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=500)
    model.fit(states @ span.T, target)
    coefficients, intercepts = model.coef_ @ span, model.intercept_
    if len(coefficients) == 1:  # two classes: scikit-learn keeps the second one's row alone
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    return Probe(block, weight, center, scale, coefficients, intercepts)


def select(scores: Scores, rows: Sequence[int] | NDArray[np.int_]) -> Scores:
    """Return the scores of some of the texts."""
    chosen = list(rows)
    return Scores(scores.log_probabilities[chosen], scores.decision[chosen], scores.states[chosen])
