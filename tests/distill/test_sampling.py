"""Sampling: every row once an epoch; by domain; and more from where the student lags."""

from collections import Counter
from itertools import islice

import numpy as np
import polars as pl
import pytest

from akd.distill.sampling import (
    DomainSampler,
    DomainWeights,
    EpochSampler,
    Measurement,
    domain_table,
    split,
)
from akd.distill.schedule import schedule
from akd.specs.distillation import SamplingParams

ROWS = np.array([3, 5, 8, 13, 21])


def _articles(domains: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"domain": domains, "language": ["en"] * len(domains)})


def _spec(kind: str = "ddk", *, validation: int) -> SamplingParams:
    values = {"kind": kind, "by": "domain", "every": 2, "smoothing": 0.5, "validation": validation}
    return SamplingParams.model_validate(values)


def test_each_epoch_holds_every_row_once_in_an_order_of_its_own() -> None:
    found = list(EpochSampler(ROWS, epochs=2, seed=7))
    assert sorted(found[:5]) == sorted(found[5:]) == ROWS.tolist()
    assert found == list(EpochSampler(ROWS, epochs=2, seed=7))
    assert found[:5] != found[5:]


def test_domains_are_drawn_by_weight_and_exhausted_ones_cycle() -> None:
    few, many = np.array([0, 1]), np.arange(10, 400)
    sampler = DomainSampler(
        [few, many], 400, lambda _number: np.array([0.75, 0.25]), segment=400, seed=1
    )
    found = list(sampler)
    share = sum(row < 2 for row in found) / 400
    assert abs(share - 0.75) < 0.07
    counts = Counter(found)
    assert abs(counts[0] - counts[1]) <= 1  # one is not drawn again before the other was
    assert max(count for row, count in counts.items() if row >= 10) == 1


def test_weights_are_asked_for_when_a_segment_begins_and_not_before() -> None:
    asked: list[int] = []

    def weights(number: int) -> np.ndarray:
        asked.append(number)
        return np.array([1.0])

    stream = iter(DomainSampler([ROWS], 9, weights, segment=4, seed=1))
    list(islice(stream, 4))
    assert asked == [0]
    list(stream)
    assert asked == [0, 1, 2]


def test_ddk_by_hand() -> None:
    losses = iter([np.array([2.0, 4.0]), np.array([3.0, 2.0])])
    weights = DomainWeights(lambda: next(losses), np.array([2.0, 2.0]), 0.5, [])
    first = np.exp([1.0, 2.0]) / np.exp([1.0, 2.0]).sum()
    np.testing.assert_allclose(weights(0), first)
    psi = first * np.exp([1.5, 1.0])
    np.testing.assert_allclose(weights(1), 0.5 * psi / psi.sum() + 0.5 / 2)


def test_a_student_that_knows_nothing_of_a_domain_is_not_too_far_for_a_float() -> None:
    losses = iter([np.exp([9.0, 2.0]), np.exp([8.0, 2.0])])
    weights = DomainWeights(lambda: next(losses), np.exp([0.4, 0.4]), 0.5, [])
    np.testing.assert_allclose(weights(0), [1.0, 0.0])
    np.testing.assert_allclose(weights(1), [0.75, 0.25])


def test_what_was_measured_before_an_interruption_is_not_measured_again() -> None:
    kept = [Measurement([1.0, 2.0], [0.25, 0.75])]
    weights = DomainWeights(lambda: np.array([9.0, 1.0]), np.ones(2), 0.5, kept)
    assert weights(0).tolist() == [0.25, 0.75]
    assert weights(1)[0] > 0.5
    assert len(kept) == 2


def test_validation_is_not_learnt_from_and_never_more_than_a_fifth() -> None:
    domains = ["a"] * 100 + ["b"] * 10 + ["c"] * 3
    parts = split(_articles(domains), _spec(validation=8), seed=1)
    assert {name: len(rows) for name, rows in parts.held.items()} == {"a": 8, "b": 2, "c": 0}
    assert all(domains[row] == name for name, rows in parts.held.items() for row in rows)
    assert sorted([*parts.taught, *parts.held["a"], *parts.held["b"]]) == list(range(113))
    nothing_held = split(_articles(domains), _spec("uniform", validation=0), seed=1)
    assert nothing_held.taught.tolist() == list(range(113))


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("domain", {"a": 20, "b": 10}),
        ("language", {"en": 15, "sw": 15}),
        ("domain_and_language", {"a / en": 10, "a / sw": 10, "b / en": 5, "b / sw": 5}),
    ],
)
def test_domains_may_be_languages_or_both(by: str, groups: dict[str, int]) -> None:
    table = pl.DataFrame({"domain": ["a", "a", "b"] * 10, "language": ["en"] * 15 + ["sw"] * 15})
    spec = _spec(validation=2).model_copy(update={"by": by})
    parts = split(table, spec, seed=1)
    assert dict(sorted(Counter(parts.domains).items())) == groups
    assert {name: len(rows) for name, rows in parts.held.items()} == {
        name: min(2, size // 5) for name, size in groups.items()
    }


def test_a_domain_too_small_to_spare_any_measures_what_it_learns_from() -> None:
    spec = _spec(validation=8)
    parts = split(_articles(["a"] * 100 + ["c"] * 3), spec, seed=1)
    asked: list[list[int]] = []

    def losses(rows: np.ndarray) -> np.ndarray:
        asked.append(rows.tolist())
        return np.ones(len(rows))

    plan = schedule(
        spec,
        parts.taught,
        parts,
        epochs=1,
        batch_size=4,
        teacher_losses=losses,
        student_losses=losses,
        measurements=[],
        seed=1,
    )
    drawn = set(plan.sampler)
    held = parts.held["a"].tolist()
    assert not drawn & set(held)
    assert drawn <= set(parts.taught.tolist())
    assert {tuple(rows) for rows in asked} == {(*held, 100, 101, 102)}


@pytest.mark.parametrize("kind", ["ddk", "uniform", "proportional"])
def test_every_kind_draws_as_many_rows(kind: str) -> None:
    spec = _spec(kind, validation=4)
    domains = ["big"] * 90 + ["small"] * 10
    losses = {"big": 0.1, "small": 2.0}
    measured: list[Measurement] = []
    plan = schedule(
        spec,
        np.arange(100),
        split(_articles(domains), spec, seed=3),
        epochs=3,
        batch_size=10,
        teacher_losses=lambda rows: np.full(len(rows), 0.1),
        student_losses=lambda rows: np.array([losses[domains[row]] for row in rows]),
        measurements=measured,
        seed=3,
    )
    found = list(plan.sampler)
    assert len(found) == len(plan.sampler) == 300  # type: ignore[arg-type]
    small = sum(row >= 90 for row in found) / 300
    expected = {"ddk": (0.6, 1.0), "uniform": (0.4, 0.6), "proportional": (0.1, 0.1)}[kind]
    assert expected[0] <= small <= expected[1]
    assert plan.domains().height == (30 if kind == "ddk" else 0)


def test_the_log_of_the_domains_has_a_row_for_each_domain_and_measurement() -> None:
    history = [Measurement([1.5, 2.0], [0.4, 0.6]), Measurement([1.2, 1.9], [0.3, 0.7])]
    table = domain_table(["a", "b"], np.array([1.1, 1.2]), history, every=20)
    assert table.rows()[2:] == [(19, "a", 0.3, 1.2, 1.1), (19, "b", 0.7, 1.9, 1.2)]
