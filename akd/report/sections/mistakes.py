"""Where the student is wrong: confusion, reliability, and the errors themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from akd.report import words
from akd.report.blocks import Figure, Heading, Mistake, Section, Table
from akd.report.charts import lines, matrix, svg
from akd.report.load import Run
from akd.report.sections.results import PICTURED

_SHOWN = 60
_LETTERS = 900

_Counts = Mapping[tuple[str, str], int]


def confusion(run: Run) -> Section | None:
    """Return what the student takes for what, and whether a confidence of 0.8 means 80 % right."""
    figures, tables, lead = [], [], "Larger marks of the reliability diagram hold more articles."
    if run.confusion is not None:
        counted = run.confusion.group_by("actual", "predicted").len()
        counts = {(row[0], row[1]): row[2] for row in counted.iter_rows()}
        labels = _labels(run, counts)
        figures.append(_confusion(labels, counts))
        tables.append(_by_label(labels, counts))
        right = sum(counts.get((label, label), 0) for label in labels)
        lead = f"{right} of {run.confusion.height} gold articles lie on the diagonal. {lead}"
    if run.reliability is not None:
        figures.append(_reliability(run.reliability))
    if not figures:
        return None
    title = "Confusion and reliability"
    return Section("confusion", title, lead, tuple(tables), tuple(figures))


def _labels(run: Run, counts: _Counts) -> list[str]:
    """Return the labels in the order of the task, where a stage has written it."""
    order = list(run.metrics.get("teacher-label", {}).get("labels", {}))
    found = sorted({label for pair in counts for label in pair})
    return sorted(found, key=lambda label: order.index(label) if label in order else len(order))


def _confusion(labels: Sequence[str], counts: _Counts) -> Figure:
    heading = Heading(
        "matrix",
        "Confusion of the student",
        "Rows are gold labels, columns the student's; a deeper cell holds more of its row.",
    )
    body = tuple((a, *(str(counts.get((a, p), 0)) for p in labels)) for a in labels)
    table = Table("Gold articles by actual (row) and predicted label", ("actual", *labels), body)
    return Figure(heading, svg.markup(matrix.confusion(heading, labels, counts)), table)


def _by_label(labels: Sequence[str], counts: _Counts) -> Table:
    """Return sensitivity (of the gold ones, how many it finds) and precision of each label."""
    body = []
    for label in labels:
        right = counts.get((label, label), 0)
        gold = sum(counts.get((label, other), 0) for other in labels)
        said = sum(counts.get((other, label), 0) for other in labels)
        shares = (words.decimal(right / n) if n else "none" for n in (gold, said))
        body.append((label, str(gold), str(said), *shares))
    columns = ("label", "gold articles", "predicted", "sensitivity", "precision")
    return Table("The student by label", columns, tuple(body))


def _reliability(bins: pl.DataFrame) -> Figure:
    heading = Heading(
        "diagram",
        "Reliability",
        "Share of right answers over mean confidence in each bin; on the dashed diagonal both "
        "agree, below it the model is too sure of itself.",
    )
    present = bins["model"].unique(maintain_order=True).to_list()
    curves = []
    for model in sorted(present, key=lambda m: PICTURED.index(m) if m in PICTURED else 9):
        own = bins.filter(pl.col("model") == model)
        points = list(zip(own["confidence"], own["accuracy"], strict=True))
        curves.append(lines.Bins(words.named(model), points, own["articles"].to_list()))
    body = tuple(
        (words.model_name(model), *map(words.value, rest)) for model, *rest in bins.iter_rows()
    )
    table = Table("Bins of confidence that hold articles", tuple(bins.columns), body)
    return Figure(heading, svg.markup(lines.reliability(heading, curves)), table)


def errors(run: Run) -> Section | None:
    """Return the student's mistakes with their texts, the surest first."""
    if run.errors is None:
        return None
    ordered = run.errors.sort("confidence", descending=True, maintain_order=True, nulls_last=True)
    shown = ordered.head(_SHOWN)
    lead = (
        f"The {shown.height} of {ordered.height} mistakes of which the student is surest. "
        "Read them: a wrong gold label, a text that lacks what decides, or a real mistake?"
    )
    found = tuple(_mistake(row) for row in shown.iter_rows(named=True))
    return Section("errors", "Errors to read", lead, mistakes=found)


def _mistake(row: dict[str, Any]) -> Mistake:
    text = row["text"]
    confidence = "" if row["confidence"] is None else words.decimal(row["confidence"])
    return Mistake(
        title=row["title"] or text[:80] or f"Article {row['id']}",
        text=text if len(text) <= _LETTERS else f"{text[:_LETTERS]}…",
        language=row["language"],
        facts=(
            ("gold", row["gold"]),
            ("student", f"{row['student']} ({confidence})"),
            ("teacher", row["teacher"]),
            ("domain", row["domain"]),
            ("language", row["language"]),
            ("id", row["id"]),
        ),
    )
