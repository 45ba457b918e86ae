"""Which shots a prompt shows: the most typical ones of each label, the same for every article."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from akd.corpus.cleaning.text import cut
from akd.prompts.calibration import Array, select
from akd.prompts.template import Demonstration, Prompt
from akd.records import Scores

_LEFT_OF_A_LABEL = 2  # shots: what a prompt shows may not score it, and a probe needs two


@dataclass(frozen=True)
class Shot:
    """An annotated article whose text is at hand; `label` is the index of its label."""

    id: str
    text: str
    label: int


def demonstration(shot: Shot, characters: int) -> Demonstration:
    """Return a shot as a prompt shows it: of fewer than `characters`, cut after a word."""
    return Demonstration(shot=shot.id, text=cut(shot.text, characters - 1), label=shot.label)


def not_shown(prompt: Prompt, shots: Sequence[Shot]) -> list[int]:
    """Return the numbers of the shots that a prompt does not show, and so may be judged by."""
    shown = {demonstration.shot for demonstration in prompt.demonstrations}
    return [number for number, shot in enumerate(shots) if shot.id not in shown]


def demonstration_sets(
    shots: Sequence[Shot], distances: Sequence[float], labels: int, largest: int, characters: int
) -> list[tuple[Demonstration, ...]]:
    """Return the sets of 0, 1, ... `largest` shots that a prompt may show.

    A set holds the nearest shots, taken from each label in turn, the nearest one last: what stands
    right before the article weighs most. One set is for all articles, so that the keys and values
    of the prompt are computed once; shots nearest to each article would cost that ([PA] 4). At
    least two shots of each label are left to score the prompt, so that few shots give small sets.

    Args:
        shots: the annotated articles.
        distances: of each shot to the articles that the teacher will label.
        labels: how many there are.
        largest: how many shots a set may hold.
        characters: to which each is cut.
    """
    sizes = np.bincount([shot.label for shot in shots], minlength=labels)
    turns = []
    for label in range(labels):
        members = [n for n, shot in enumerate(shots) if shot.label == label]
        ranked = sorted(members, key=lambda n: (distances[n], n))
        free = ranked[: max(int(sizes[label]) - _LEFT_OF_A_LABEL, 0)]
        turns += [(turn, distances[n], n) for turn, n in enumerate(free)]
    order = [number for _, _, number in sorted(turns)]
    return [
        tuple(demonstration(shots[n], characters) for n in reversed(order[:size]))
        for size in range(min(largest, len(order)) + 1)
    ]


def distances(scores: Scores, texts: Sequence[str], unlabelled: int) -> Array:
    """Return how far each shot lies from the mean of the unlabelled articles (shots,).

    Args:
        scores: of the unlabelled articles, then the shots.
        texts: the same articles.
        unlabelled: how many of them come first.

    Returns:
        Distances of the teacher's mean states, standardised over the unlabelled articles; those of
        TF-IDF vectors where no states were asked for, or the teacher gives none.
    """
    if scores.states.shape[1]:
        free = select(scores, range(unlabelled)).states.reshape(unlabelled, -1)
        shots = scores.states[unlabelled:].reshape(len(texts) - unlabelled, -1)
        scale = free.std(axis=0, dtype=np.float64) + 1e-6
        return np.asarray(np.linalg.norm((shots - free.mean(axis=0)) / scale, axis=1))
    vectors = TfidfVectorizer().fit_transform(texts).toarray()
    return np.asarray(
        np.linalg.norm(vectors[unlabelled:] - vectors[:unlabelled].mean(axis=0), axis=1)
    )
