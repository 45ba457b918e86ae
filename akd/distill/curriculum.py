"""Curriculum: which articles a phase learns from, and what it learns about them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import entropy, rankdata

from akd.specs.distillation import Difficulty

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]

_SMALLEST = 1e-12  # a stored probability of 0 has a logarithm too
_RANK_OFFSET = 60  # the constant of reciprocal rank fusion (Cormack et al. 2009)


def difficulty(
    kind: Difficulty,
    lessons: pl.DataFrame,
    targets: Floats,
    student_losses: Callable[[], Floats],
    seed: int,
) -> Floats:
    """Return how hard each article is (n,); what is hard comes late.

    Args:
        kind: `entropy`, `margin` and `length` are of the teacher's signals and of the text;
            `student_loss` is what the student gets wrong before the phase, in nats;
            `disagreement` is that without the teacher's own doubts, KL(teacher || student): where
            both are sure of different labels a small teacher often errs; `reciprocal_rank` fuses
            ranks as [POCL] does, but those of the teacher's entropy and the student's loss, where
            the paper has ROUGE-L and the student's loss; `random` is the ablation: the same number
            of articles, whichever.
        lessons: articles with signals, in id order.
        targets: what the phase teaches of each (n, targets).
        student_losses: computes the cross-entropies (n,) with the targets, and is only called by
            the kinds that need them.
        seed: of `random`.
    """
    match kind:
        case "entropy":
            return lessons["entropy"].to_numpy()
        case "margin":
            return 1.0 - lessons["margin"].to_numpy()
        case "length":
            return lessons["text"].str.len_chars().to_numpy().astype(np.float64)
        case "student_loss":
            return student_losses()
        case "disagreement":
            return np.asarray(student_losses() - entropy(targets, axis=1))
        case "reciprocal_rank":
            ranks = (rankdata(lessons["entropy"].to_numpy()), rankdata(student_losses()))
            return np.asarray(-sum(1.0 / (_RANK_OFFSET + rank) for rank in ranks))
        case "random":
            return np.random.default_rng(seed).random(lessons.height)


def bucket(
    hardness: Floats, ids: Sequence[str], labels: Ints, rows: Ints, start: float, end: float
) -> Ints:
    """Return the rows from one share to another of each label's articles, from easy to hard.

    Some labels are easier than others: of all articles together the easiest half would hold much of
    these and little of the rest, and a student learns how often a label is right along with what it
    looks like. Buckets from 0 are cumulative: what is easy stays when harder articles join
    ([POCL]); others are disjoint. Articles of equal hardness are sorted by id.

    Args:
        hardness: of each article (n,).
        ids: of the articles (n,).
        labels: the most probable target of each (n,).
        rows: of the articles that are learnt from.
        start, end: shares between 0 and 1; at least one article of each label is in the bucket.

    Returns:
        Row numbers, rising.
    """
    order = rows[np.lexsort((np.array(ids)[rows], hardness[rows]))]
    found = []
    for label in np.unique(labels[rows]):
        own = order[labels[order] == label]
        last = max(1, round(end * len(own)))
        first = min(round(start * len(own)), last - 1)
        found.append(own[first:last])
    return np.sort(np.concatenate(found))


@dataclass(frozen=True)
class Goal:
    """What a phase learns of all articles.

    Attributes:
        rows: of the articles that are learnt from, rising; DDK measures on the others.
        probabilities: of the teacher, sharpened (n, labels).
        groups: for each label its group, in the simpler task; None where labels are learnt.
        answers: the most probable target of the teacher (n,).
        told: the teacher's distribution over groups or labels, sharpened (n, targets).
        targets: what is learnt: that, or what `shared_with` makes of it (n, targets).
    """

    rows: Ints
    probabilities: Floats
    groups: Sequence[int] | None
    answers: Ints
    told: Floats
    targets: Floats

    def cross_entropies(self, logits: NDArray[np.float32], rows: Ints) -> Floats:
        """Return the cross-entropy of a student with the targets, in nats (rows,).

        Args:
            logits: over labels, of these rows (rows, labels).
            rows: which articles they are of.
        """
        log_probabilities = np.log(self._over_targets(logits).clip(_SMALLEST))
        return np.asarray(-(self.targets[rows] * log_probabilities).sum(axis=1))

    def shared_with(self, logits: NDArray[np.float32], share: float) -> "Goal":
        """Return the goal with targets of which the student's own answers make up a part.

        Soft bootstrapping (Reed et al. 2015, eq. 6, where the share is constant) with a weight for
        each article, as in Arazo et al. 2019, who take it from a mixture model of the losses; here
        it is the share times the square of the student's confidence. The surer the student, the
        more its own answer stands, up to taking the teacher's place; where it is at a loss, the
        teacher is followed, but for one part in the square of the number of targets.

        Args:
            logits: of the student before the phase, over labels (n, labels).
            share: between 0 and 1; what its own answer weighs where it is wholly sure.
        """
        own = self._over_targets(logits)
        weight = share * own.max(axis=1, keepdims=True) ** 2
        return replace(self, targets=(1 - weight) * self.targets + weight * own)

    def _over_targets(self, logits: NDArray[np.float32]) -> Floats:
        own = np.asarray(softmax(logits.astype(np.float64), axis=1))
        return own if self.groups is None else group_probabilities(own, self.groups)


def goal_of(
    lessons: pl.DataFrame, rows: Ints, groups: Sequence[int] | None, temperature: float
) -> Goal:
    """Return the goal of a phase on these lessons.

    Args:
        rows: that are learnt from, rising.
        groups: for each label its group; None where labels are learnt.
        temperature: of the teacher's distribution alone, y ~ p^(1/T) (Berthelot et al. 2019,
            MixMatch, eq. 7). Below 1 it is sharpened: a small student that cannot follow each of
            the teacher's doubts averages over them. What it learns of easy articles alone can
            still leave it surer than the teacher; `evaluate` reports the calibration of both.
    """
    told = np.array(lessons["probabilities"].to_list())
    probabilities = np.asarray(softmax(np.log(told.clip(_SMALLEST)) / temperature, axis=1))
    targets = probabilities if groups is None else group_probabilities(probabilities, groups)
    return Goal(rows, probabilities, groups, targets.argmax(axis=1), targets, targets)


def group_probabilities(probabilities: Floats, groups: Sequence[int]) -> Floats:
    """Sum class probabilities (n, labels) over groups of labels: the simpler task (n, groups)."""
    summed = np.zeros((len(probabilities), max(groups) + 1))
    for label, group in enumerate(groups):
        summed[:, group] += probabilities[:, label]
    return summed
