"""How a prompt does on shots and unlabelled articles (the test of the search, [ANON] 2.1)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from akd.prompts.calibration import Array, batch_prior, class_log_probabilities, log_probabilities
from akd.prompts.demonstrations import Shot, not_shown
from akd.prompts.template import Prompt
from akd.records import Scores

TEMPERATURES = tuple(float(2**power) for power in np.arange(-2, 4.5, 0.5))

Score = Callable[[Prompt, Sequence[str]], Scores]
"""From a prompt and texts to what the teacher says of them."""


@dataclass(frozen=True)
class Material:
    """What every prompt of a search is measured on.

    Attributes:
        shots: annotated articles; may be empty.
        unlabelled: texts.
        calibrated: whether scores stand behind a prior, which is that of batch calibration here.
    """

    shots: Sequence[Shot]
    unlabelled: Sequence[str]
    calibrated: bool


@dataclass(frozen=True)
class Measured:
    """How a prompt does on shots and unlabelled articles.

    Attributes:
        log_probability: mean of `shot_log_probabilities`; 0 if there are none.
        mutual_information: H(mean p) - mean H(p) over unlabelled articles, in nats.
        accuracy: on the same shots; reported, never decisive (its standard error is ~10 points).
        shot_log_probabilities: of the label of each shot (by its number) that the prompt does not
            show, at the temperature that suits the other shots (leave-one-out).
        shot_labels: the most probable label of each of them.
        article_information: KL(p || mean p) of each unlabelled article; their mean is the mutual
            information.
        article_log_probabilities: of the labels, for each unlabelled article.
    """

    log_probability: float
    mutual_information: float
    accuracy: float
    shot_log_probabilities: Mapping[int, float]
    shot_labels: Mapping[int, int]
    article_information: Sequence[float]
    article_log_probabilities: Sequence[Sequence[float]]

    def on(self, numbers: Sequence[int], shots: Sequence[Shot]) -> tuple[float, float]:
        """Return mean log-probability and accuracy on some of the shots that it is measured on.

        Prompts that show different shots compare on those that neither shows.
        """
        if not numbers:
            return 0.0, 0.0
        right = [self.shot_labels[number] == shots[number].label for number in numbers]
        told = [self.shot_log_probabilities[number] for number in numbers]
        return float(np.mean(told)), float(np.mean(right))


def measure(prompt: Prompt, score: Score, material: Material) -> Measured:
    """Ask about the unlabelled articles and the shots that the prompt does not show."""
    shots, unlabelled = material.shots, material.unlabelled
    asked = not_shown(prompt, shots)
    scores = score(prompt, [*unlabelled, *(shots[number].text for number in asked)])
    logits = class_log_probabilities(scores)
    if material.calibrated:
        logits = logits - batch_prior(scores)
    free, told = logits[: len(unlabelled)], logits[len(unlabelled) :]
    guessed = log_softmax(free, axis=1).tolist()
    if not asked:
        information = _information(free)
        mean = float(information.mean())
        return Measured(0.0, mean, 0.0, {}, {}, information.tolist(), guessed)
    labels = np.array([shots[number].label for number in asked])
    said = told.argmax(axis=1)
    found = _leave_one_out_log_probabilities(told, labels)
    information = _information(free / _temperature(told, labels))
    return Measured(
        log_probability=float(np.mean(found)),
        mutual_information=float(information.mean()),
        accuracy=float((said == labels).mean()),
        shot_log_probabilities=dict(zip(asked, found, strict=True)),
        shot_labels=dict(zip(asked, said.tolist(), strict=True)),
        article_information=information.tolist(),
        article_log_probabilities=guessed,
    )


def _temperature(logits: Array, labels: NDArray[np.int_]) -> float:
    """Return the temperature of a grid at which the labels are most probable; 1 without any."""
    if not len(labels):
        return 1.0
    return max(TEMPERATURES, key=lambda t: float(log_probabilities(logits / t, labels).mean()))


def _leave_one_out_log_probabilities(logits: Array, labels: NDArray[np.int_]) -> list[float]:
    """Return the log-probability of each label at the temperature of all the others.

    How peaked a prompt is says nothing of how well it orders: without a temperature of its own
    the flattest prompt would win.
    """
    values = []
    for left_out in range(len(labels)):
        rest = np.delete(np.arange(len(labels)), left_out)
        temperature = _temperature(logits[rest], labels[rest])
        alone = logits[[left_out]] / temperature
        values.append(float(log_probabilities(alone, labels[[left_out]])[0]))
    return values


def _information(logits: Array) -> Array:
    """Return KL(p || mean p) of each row in nats (n,); their mean is H(mean p) - mean H(p)."""
    probabilities, log_p = np.asarray(softmax(logits, axis=1)), log_softmax(logits, axis=1)
    return np.asarray((probabilities * (log_p - np.log(probabilities.mean(axis=0)))).sum(axis=1))
