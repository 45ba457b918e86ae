"""The closed-form readout: what it finds in states, and how sure it is of it."""

import numpy as np
import polars as pl
import pytest
import torch
from scipy.special import log_softmax, softmax

from akd.distill.curriculum import Floats, goal_of
from akd.distill.readout import fit_readout
from akd.errors import InputError

_WIDTH, _LABELS = 24, 3


def _teacher(states: Floats, noise: float, seed: int) -> Floats:
    """Return probabilities that depend on the states, and on the teacher's moods."""
    weights = np.random.default_rng(0).normal(size=(_WIDTH, _LABELS))
    moods = np.random.default_rng(seed).normal(size=(len(states), _LABELS))
    return np.asarray(softmax(states @ weights + noise * moods, axis=1))


def _states(count: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(count, _WIDTH))


def _said(states: Floats, probabilities: Floats, asked: Floats) -> Floats:
    readout = fit_readout(states.astype(np.float32), probabilities)
    logits = readout(torch.tensor(asked, dtype=torch.float32)).detach().double().numpy()
    return np.asarray(softmax(logits, axis=1))


def test_it_finds_the_teacher_behind_its_moods() -> None:
    states, asked = _states(600, 1), _states(600, 2)
    found = _said(states, _teacher(states, noise=3.0, seed=3), asked)
    assert (found.argmax(1) == _teacher(asked, noise=0.0, seed=0).argmax(1)).mean() > 0.9


def test_one_article_teaches_no_student() -> None:
    with pytest.raises(InputError, match="one article teaches no student"):
        fit_readout(np.ones((1, 4), np.float32), np.array([[0.2, 0.8]]))


def test_left_out_articles_choose_how_sure_it_is() -> None:
    states, asked = _states(300, 1), _states(2000, 2)
    found, truth = (
        _said(states, _teacher(states, noise=3.0, seed=3), asked),
        _teacher(asked, noise=3.0, seed=4),
    )

    def cross_entropy(factor: float) -> float:
        return float(-(truth * log_softmax(factor * np.log(found), axis=1)).sum(1).mean())

    assert cross_entropy(1.0) < min(cross_entropy(0.5), cross_entropy(2.0))


def test_how_impossible_a_label_is_changes_little() -> None:
    states, asked = _states(300, 1), _states(300, 2)
    told = _teacher(states, noise=0.0, seed=0)
    wild = np.where(
        told < 0.05, told * 10.0 ** -np.random.default_rng(5).integers(0, 9, told.shape), told
    )
    wild /= wild.sum(axis=1, keepdims=True)
    agree = _said(states, told, asked).argmax(1) == _said(states, wild, asked).argmax(1)
    assert agree.mean() > 0.97


@pytest.mark.parametrize(
    ("temperature", "wanted"), [(1.0, [0.2, 0.3, 0.5]), (0.5, [4 / 38, 9 / 38, 25 / 38])]
)
def test_targets_are_sharpened_before_they_are_grouped(
    temperature: float, wanted: list[float]
) -> None:
    lessons = pl.DataFrame({"probabilities": [[0.2, 0.3, 0.5]]})
    assert goal_of(lessons, np.arange(1), None, temperature).targets[0] == pytest.approx(wanted)
    grouped = goal_of(lessons, np.arange(1), [0, 0, 1], temperature).targets[0]
    assert grouped == pytest.approx([wanted[0] + wanted[1], wanted[2]])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("groups", [None, [0, 0, 1]])
def test_the_student_has_a_share_of_its_targets_where_it_is_sure(
    groups: list[int] | None, share: float
) -> None:
    """Of the groups as of the labels, and what it is measured against stays the teacher's."""
    lessons = pl.DataFrame({"probabilities": [[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]})
    own = np.array([[0.7, 0.2, 0.1], [0.5, 0.25, 0.25]])
    goal = goal_of(lessons, np.arange(2), groups, 1.0)
    shared = goal.shared_with(np.log(own).astype(np.float32), share)
    told = own if groups is None else np.stack([own[:, :2].sum(1), own[:, 2]], axis=1)
    sure = np.array([0.49, 0.25] if groups is None else [0.81, 0.5625])[:, None]
    wanted = (1 - share * sure) * goal.targets + share * sure * told
    np.testing.assert_allclose(shared.targets, wanted, rtol=1e-6)
    np.testing.assert_allclose(shared.targets.sum(axis=1), 1)
    np.testing.assert_allclose(shared.probabilities, goal.probabilities)


def test_cross_entropies_are_of_the_asked_rows() -> None:
    goal = goal_of(
        pl.DataFrame({"probabilities": [[1.0, 0.0], [0.5, 0.5]]}), np.arange(2), None, 1.0
    )
    found = goal.cross_entropies(np.log(np.array([[0.25, 0.75]], np.float32)), np.array([1]))
    assert found == pytest.approx([-0.5 * np.log(0.25) - 0.5 * np.log(0.75)])
