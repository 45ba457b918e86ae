"""The schedule of a phase: which rows it draws, and with what weight each domain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import assert_never

import numpy as np
import polars as pl
from torch.utils.data import Sampler

from akd.distill.curriculum import Floats, Ints
from akd.distill.sampling import (
    DomainSampler,
    DomainWeights,
    EpochSampler,
    Measurement,
    Split,
    domain_table,
    members,
)
from akd.specs.distillation import SamplingParams

Losses = Callable[[Ints], Floats]
"""From rows (n,) to a cross-entropy with the teacher's distribution on each (n,), in nats."""


@dataclass(frozen=True)
class Schedule:
    """A sampler, the rows that it draws from, and what it will have measured of the domains.

    Nothing is measured but for DDK.
    """

    rows: Ints
    sampler: Sampler[int]
    domains: Callable[[], pl.DataFrame]


def schedule(
    spec: SamplingParams,
    rows: Ints,
    parts: Split,
    *,
    epochs: int,
    batch_size: int,
    teacher_losses: Losses,
    student_losses: Losses,
    measurements: list[Measurement],
    seed: int,
) -> Schedule:
    """Return the sampler that the spec asks for.

    All kinds draw the same number of rows, so that they can be compared at equal steps.

    Args:
        rows: of the articles of the phase, rising; of those that may be learnt from.
        parts: tells their domains, and what DDK measures.
        teacher_losses: of the stored signals: the entropy of each.
        student_losses: asks the student as it is at that moment.
        measurements: of before an interruption; takes those to come.
    """
    names, of = members(parts.domains, rows)
    draws = len(rows) * epochs
    nothing = partial(domain_table, [], np.zeros(0), [], spec.every)
    match spec.kind:
        case "proportional":
            return Schedule(rows, EpochSampler(rows, epochs, seed), nothing)
        case "uniform":
            equal = np.full(len(names), 1 / len(names))
            sampler = DomainSampler(of, draws, lambda _number: equal, segment=draws, seed=seed)
            return Schedule(rows, sampler, nothing)
        case "ddk":
            measured = [
                parts.held[name] if len(parts.held[name]) else some
                for name, some in zip(names, of, strict=True)
            ]
            teacher = _perplexities(teacher_losses, measured)
            weights = DomainWeights(
                lambda: _perplexities(student_losses, measured),
                teacher,
                spec.smoothing,
                measurements,
            )
            sampler = DomainSampler(of, draws, weights, segment=spec.every * batch_size, seed=seed)
            return Schedule(
                rows,
                sampler,
                lambda: domain_table(names, teacher, measurements, spec.every),
            )
        case _:
            assert_never(spec.kind)


def _perplexities(losses: Losses, rows: Sequence[Ints]) -> Floats:
    """Return exp of the mean loss of each domain (domains,); all are asked in one pass."""
    found = np.split(losses(np.concatenate(rows)), np.cumsum([len(some) for some in rows])[:-1])
    return np.exp([part.mean() for part in found])
