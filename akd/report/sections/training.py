"""How the student was taught: loss and domain weights of each phase."""

import math
from collections.abc import Callable, Iterator

import polars as pl

from akd.report import words
from akd.report.blocks import Figure, Heading, Section, Table
from akd.report.charts import lines, svg
from akd.report.load import Run

_ROWS = 400
"""Of a table beside a picture."""


def loss(run: Run) -> Section | None:
    """Return the loss of each phase over its steps, and its parts where it has several."""
    if not run.losses:
        return None
    figures = tuple(
        figure
        for number, (phase, frame) in enumerate(run.losses.items())
        for figure in (_loss(number, phase, frame), *_parts(number, phase, frame))
    )
    lead = "The student's training loss. Phases have targets of their own: compare shapes."
    return Section("loss", "Loss of each phase", lead, figures=figures)


def _loss(number: int, phase: str, frame: pl.DataFrame) -> Figure:
    heading = Heading(
        f"loss-{number}",
        phase,
        f"A line of the loss from {words.value(frame['loss'][0])} to "
        f"{words.value(frame['loss'][-1])} over {frame.height} recorded steps.",
    )
    curve = lines.Curve(phase, list(zip(frame["step"], frame["loss"], strict=True)))
    picture = lines.curve(heading, curve, None, "step", "loss")
    return Figure(heading, svg.markup(picture), _table(f"Loss of {phase}", frame))


def _parts(number: int, phase: str, frame: pl.DataFrame) -> Iterator[Figure]:
    parts = frame.drop("loss")
    names = parts.columns[1:]
    if len(names) < 2:
        return  # that one is the loss
    values = pl.concat([parts[name].cast(pl.Float64).alias("value") for name in names])
    heading = Heading(
        f"losses-{number}",
        f"{phase}: each loss",
        f"A panel for each loss before it is weighted, all from {_range(values)}.",
    )
    curves = {
        words.named(name): lines.Curve(name, list(zip(frame["step"], frame[name], strict=True)))
        for name in names
    }
    picture = lines.panels(heading, curves, "step →")
    yield Figure(heading, svg.markup(picture), _table(f"Each loss of {phase}", parts))


def domains(run: Run) -> Section | None:
    """Return how the weights of the domains moved, and what moved them (DDK)."""
    if not run.domains:
        return None
    figures = tuple(
        figure
        for number, (phase, frame) in enumerate(run.domains.items())
        for figure in _domains(number, phase, frame)
    )
    lead = (
        "Domains in which the student lags behind the teacher are drawn more often. Each panel "
        "shows one domain over all the others; below it the first and the last value."
    )
    return Section("domains", "Domain weights over time", lead, figures=figures)


def _domains(number: int, phase: str, frame: pl.DataFrame) -> Iterator[Figure]:
    ratio = frame.with_columns(ratio=pl.col("student_loss") / pl.col("teacher_loss"))
    yield _panels(
        Heading(
            f"weight-{number}",
            f"{phase}: weight",
            f"A panel for the weight of each domain, all from {_range(frame['weight'])}.",
        ),
        lambda domain: lines.Curve(domain, _points(frame, domain, "weight")),
        frame,
        _table(f"Domain weights and perplexities of {phase}", frame),
    )
    yield _panels(
        Heading(
            f"ratio-{number}",
            f"{phase}: student's perplexity over teacher's",
            f"A panel for each domain, all from {_range(ratio['ratio'])}; at 1 the student has "
            "caught up with the teacher.",
        ),
        lambda domain: lines.Curve(domain, _points(ratio, domain, "ratio")),
        frame,
        _table(f"Ratio of perplexities in {phase}", ratio.select("step", "domain", "ratio")),
    )


def _panels(
    heading: Heading, curve: Callable[[str], lines.Curve], frame: pl.DataFrame, table: Table
) -> Figure:
    names = sorted(frame["domain"].unique())
    picture = lines.panels(heading, {name: curve(name) for name in names}, "step →")
    return Figure(heading, svg.markup(picture), table)


def _range(values: pl.Series) -> str:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    ends = (min(finite), max(finite)) if finite else ()
    return " to ".join(map(words.decimal, ends)) or "nothing finite"


def _points(frame: pl.DataFrame, domain: str, column: str) -> list[tuple[float, float]]:
    own = frame.filter(pl.col("domain") == domain)
    return list(zip(own["step"], own[column], strict=True))


def _table(caption: str, frame: pl.DataFrame) -> Table:
    """Return the rows of every n-th step and of the last one: a page that a phone can hold."""
    steps = frame["step"].unique(maintain_order=True)
    nth = math.ceil(frame.height / _ROWS)
    if nth > 1:
        caption = f"{caption} (one in {nth} of {len(steps):,} steps; all are in metrics/)"
    shown = frame.filter(pl.col("step").is_in([*steps.gather_every(nth), steps[-1]]))
    whole = shown.with_columns(pl.col("step").cast(pl.Int64))
    body = tuple(tuple(map(words.value, row)) for row in whole.iter_rows())
    return Table(caption, tuple(map(words.named, frame.columns)), body)
