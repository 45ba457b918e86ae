"""Curriculum: what is hard, and which articles lie between two shares of it."""

import numpy as np
import polars as pl
import pytest

from akd.distill.curriculum import bucket, difficulty, goal_of
from akd.specs.distillation import Difficulty
from tests.distill.tiny_phase import lessons

TABLE = pl.DataFrame(
    {
        "id": list("dcba"),
        "text": ["x" * 4, "x", "xxx", "xx"],
        "entropy": [0.1, 0.9, 0.5, 0.5],
        "margin": [0.9, 0.2, 0.1, 0.8],
    }
)
TARGETS = np.array([[0.95, 0.05], [1.0, 0.0], [0.95, 0.05], [1.0, 0.0]])  # doubts: 0.2 and 0 nats
LOSSES = np.array([0.4, 0.1, 0.3, 0.2])


@pytest.mark.parametrize(
    ("kind", "easiest_first"),
    [
        ("entropy", "dabc"),  # a and b are alike: the id decides
        ("margin", "dacb"),
        ("length", "cabd"),
        ("student_loss", "cabd"),
        ("disagreement", "cbad"),
    ],
)
def test_hardness_orders_the_articles(kind: Difficulty, easiest_first: str) -> None:
    hardness = difficulty(kind, TABLE, TARGETS, lambda: LOSSES, seed=1)
    ids = TABLE["id"].to_list()
    found = [
        set(TABLE["id"].gather(bucket(hardness, ids, np.zeros(4), np.arange(4), 0, n / 4)))
        for n in (1, 2, 3, 4)
    ]
    assert found == [set(easiest_first[:n]) for n in (1, 2, 3, 4)]


def test_reciprocal_rank_fuses_both_ranks() -> None:
    hardness = difficulty("reciprocal_rank", TABLE, TARGETS, lambda: LOSSES, seed=1)
    # ranks by entropy (1, 4, 2.5, 2.5) and by student loss (4, 1, 3, 2)
    expected = [-(1 / 61 + 1 / 64), -(1 / 64 + 1 / 61), -(1 / 62.5 + 1 / 63), -(1 / 62.5 + 1 / 62)]
    np.testing.assert_allclose(hardness, expected)


def test_random_takes_as_many_whatever_their_entropy_and_the_seed_decides() -> None:
    ids = [f"{n}" for n in range(200)]
    table = pl.DataFrame({"id": ids, "entropy": np.linspace(0, 1, 200)})

    def drawn(seed: int) -> list[int]:
        hardness = difficulty("random", table, np.ones((200, 1)), lambda: np.zeros(200), seed)
        return bucket(hardness, ids, np.zeros(200), np.arange(200), 0.0, 0.5).tolist()

    assert len(drawn(1)) == 100
    assert drawn(1) == drawn(1) != drawn(2)
    assert max(drawn(1)) > 150


def test_a_student_is_only_asked_where_its_losses_count() -> None:
    def asked() -> np.ndarray:
        raise AssertionError("the student was asked")

    difficulty("entropy", TABLE, TARGETS, asked, seed=1)
    with pytest.raises(AssertionError, match="was asked"):
        difficulty("student_loss", TABLE, TARGETS, asked, seed=1)


def test_buckets_from_zero_are_cumulative_and_others_disjoint() -> None:
    hardness, ids, one = np.arange(10.0), [f"{n}" for n in range(10)], np.zeros(10)
    assert bucket(hardness, ids, one, np.arange(10), 0.0, 0.5).tolist() == [0, 1, 2, 3, 4]
    assert bucket(hardness, ids, one, np.arange(10), 0.0, 1.0).tolist() == list(range(10))
    assert bucket(hardness, ids, one, np.arange(10), 0.5, 1.0).tolist() == [5, 6, 7, 8, 9]
    assert bucket(hardness[:1], ids[:1], one[:1], np.arange(1), 0.5, 0.6).tolist() == [0]


def test_a_bucket_holds_the_easiest_of_each_label() -> None:
    """Of all ten together the easiest half is of one label alone."""
    hardness, ids, labels = (
        np.arange(10.0),
        [f"{n}" for n in range(10)],
        np.repeat([0, 1, 2], [5, 4, 1]),
    )
    assert bucket(hardness, ids, labels, np.arange(10), 0.0, 0.5).tolist() == [0, 1, 5, 6, 9]
    assert bucket(hardness, ids, labels, np.arange(10), 0.0, 1.0).tolist() == list(range(10))


@pytest.mark.parametrize("groups", [None, [0, 0, 1]])
def test_what_the_teacher_says_stays_beside_targets_that_its_student_shares(
    groups: list[int] | None,
) -> None:
    goal = goal_of(lessons(), np.arange(8), groups, 0.5)
    shared = goal.shared_with(np.eye(3, dtype=np.float32)[[2] * 8] * 9, 1.0)
    np.testing.assert_array_equal(shared.told, goal.targets)
    assert (shared.targets.argmax(axis=1) == shared.targets.shape[1] - 1).all()
    assert np.abs(shared.targets - shared.told).max() > 0.5
