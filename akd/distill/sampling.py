"""Which article comes next: once an epoch, or by domain, more from where the student lags (DDK)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import softmax
from torch.utils.data import Sampler

from akd.specs.distillation import SamplingParams

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]


@dataclass(frozen=True)
class Measurement:
    """What DDK saw and chose before a segment; each list has one figure for each domain.

    Attributes:
        student: exp of the student's mean cross-entropy on the validation articles.
        weights: r, the probability with which the next articles come from the domain.
    """

    student: list[float]
    weights: list[float]


class EpochSampler(Sampler[int]):
    """Yields each row once an epoch, in another order each time, all epochs in one pass.

    One pass, so that to go on after an interruption is to skip what was drawn.
    """

    def __init__(self, rows: Ints, epochs: int, seed: int) -> None:
        self._rows, self._epochs, self._seed = rows, epochs, seed

    def __len__(self) -> int:
        return len(self._rows) * self._epochs

    def __iter__(self) -> Iterator[int]:
        for epoch in range(self._epochs):
            yield from np.random.default_rng([self._seed, epoch]).permutation(self._rows).tolist()


class DomainSampler(Sampler[int]):
    """Draws a domain by its weight, then the next of its rows; exhausted domains cycle ([DDK]).

    Args:
        members: the rows of each domain.
        draws: how many rows are drawn in all.
        weights: gives the weights of the domains before each segment, by its number.
        segment: draws between two questions for weights.
        seed: decides all draws; two passes with the same weights yield the same rows.
    """

    def __init__(
        self,
        members: Sequence[Ints],
        draws: int,
        weights: Callable[[int], Floats],
        *,
        segment: int,
        seed: int,
    ) -> None:
        self._members = members
        self._draws = draws
        self._weights = weights
        self._segment = segment
        self._seed = seed

    def __len__(self) -> int:
        return self._draws

    def __iter__(self) -> Iterator[int]:
        streams = [self._stream(domain) for domain in range(len(self._members))]
        for number, start in enumerate(range(0, self._draws, self._segment)):
            count = min(self._segment, self._draws - start)
            draw = np.random.default_rng([self._seed, number])
            for domain in draw.choice(len(streams), size=count, p=self._weights(number)):
                yield next(streams[domain])

    def _stream(self, domain: int) -> Iterator[int]:
        cycle = 0
        while True:
            draw = np.random.default_rng([self._seed, domain, cycle])
            yield from draw.permutation(self._members[domain]).tolist()
            cycle += 1


class DomainWeights:
    """The weights r of DDK, measured anew before each segment (Liu et al. 2024, section 3).

    A batch is drawn while the one before it is learnt from, so that each measurement but the first
    is of the student one step before its segment.

    l_M = exp(CE of model M on the domain's validation articles), a perplexity.
    r_0 = softmax(l_S / l_T); psi = r_t exp(l_S / l_T);
    r_{t+1} = alpha psi / sum psi + (1 - alpha) / N.

    There both are measured on what the validation texts say. No article here has a label but the
    teacher's: both are measured on its distribution, sharpened and grouped as the phase has it, so
    that l_T is exp of its entropy and l_S / l_T is exp of the mean KL(teacher || student). The
    first segment is drawn by r_0, there at random.

    Args:
        measure: computes the student's losses l_S (domains,).
        teacher: the teacher's losses l_T (domains,).
        smoothing: alpha.
        history: what was measured before an interruption; it is not measured again.
    """

    def __init__(
        self,
        measure: Callable[[], Floats],
        teacher: Floats,
        smoothing: float,
        history: list[Measurement],
    ) -> None:
        self._measure = measure
        self._teacher = teacher
        self._smoothing = smoothing
        self.history = history

    def __call__(self, segment: int) -> Floats:
        """Return the weights of the domains (domains,) for a segment."""
        if segment == len(self.history):
            student = self._measure()
            lag = student / self._teacher
            weights = softmax(lag) if not self.history else self._next(lag)
            self.history.append(Measurement(student.tolist(), weights.tolist()))
        return np.array(self.history[segment].weights)

    def _next(self, lag: Floats) -> Floats:
        before = np.log(np.maximum(self.history[-1].weights, np.finfo(float).tiny))
        grown = softmax(before + lag)  # psi / sum psi, where exp(lag) itself may be too large
        return np.asarray(self._smoothing * grown + (1 - self._smoothing) / len(grown))


def members(domains: Sequence[str], rows: Ints) -> tuple[list[str], list[Ints]]:
    """Return the names of the domains of these rows, sorted, and the rows of each."""
    found = np.array(domains)[rows]
    names = sorted(set(found.tolist()))
    return names, [rows[found == name] for name in names]


@dataclass(frozen=True)
class Split:
    """Articles by domain, parted into what is learnt from and what DDK measures the student on.

    Attributes:
        domains: of all articles, by row.
        taught: rows that may be learnt from, rising.
        held: rows of each domain that no phase learns from, rising.
    """

    domains: list[str]
    taught: Ints
    held: dict[str, Ints]


def split(table: pl.DataFrame, spec: SamplingParams, seed: int) -> Split:
    """Hold `spec.validation` articles of each domain out of all that is learnt.

    They are the same in every phase, and for every way to draw, so that these can be compared; easy
    and hard ones, whatever a phase teaches: DDK asks how much of the domain is still to be learnt.
    Never more than a fifth of a domain is held out: one of fewer than five articles has none to
    spare, and measures what it learns from.

    Args:
        table: all articles, with `domain` and `language`.
        spec: by what, and how many.
        seed: of the draw.
    """
    domains, draw = _domains(table, spec.by), np.random.default_rng(seed)
    names, of = members(domains, np.arange(len(domains)))
    held = {
        name: np.sort(draw.choice(rows, min(spec.validation, len(rows) // 5), replace=False))
        for name, rows in zip(names, of, strict=True)
    }
    taught = np.setdiff1d(np.arange(len(domains)), np.concatenate(list(held.values())))
    return Split(domains, taught, held)


def _domains(table: pl.DataFrame, by: str) -> list[str]:
    """Return the domain of each article: its own, its language, or both."""
    columns: Mapping[str, list[str]] = {
        "domain": ["domain"],
        "language": ["language"],
        "domain_and_language": ["domain", "language"],
    }
    return table.select(pl.concat_str(columns[by], separator=" / ")).to_series().to_list()


def domain_table(
    names: Sequence[str], teacher: Floats, history: Sequence[Measurement], every: int
) -> pl.DataFrame:
    """Return the log of DDK: weight and both losses of each domain after each measured step."""
    return pl.DataFrame(
        {
            "step": [max(0, number * every - 1) for number in range(len(history)) for _ in names],
            "domain": list(names) * len(history),
            "weight": [weight for at in history for weight in at.weights],
            "student_loss": [loss for at in history for loss in at.student],
            "teacher_loss": teacher.tolist() * len(history),
        },
        schema={
            "step": pl.Int64,
            "domain": pl.String,
            "weight": pl.Float64,
            "student_loss": pl.Float64,
            "teacher_loss": pl.Float64,
        },
    )
