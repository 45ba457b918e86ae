"""What the students are worth: headline, gaps, groups."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from akd.report import words
from akd.report.blocks import Figure, Heading, Section, Table
from akd.report.charts import rows, svg
from akd.report.load import Run

PICTURED = ("student", "teacher", "tfidf")
"""Models in the pictures, in the order of their marks; the tables have all of them."""


def headline(run: Run) -> Section | None:
    """Return every model with its intervals, and the student's gaps."""
    found = run.metrics.get("evaluate", {})
    if not (models := _holding(found, "accuracy", "interval")):
        return None
    gaps = _holding(found.get("gap", {}), "accuracy", "low", "high")
    figures = [_accuracies(models)]
    if gaps:
        figures.append(_gaps(gaps))
    lead = " ".join(_verdict(found, models, gaps, run.record.value("evaluate.confidence")))
    return Section("headline", "Headline", lead, (_table(models),), tuple(figures))


def _holding(found: Mapping[str, Any], *names: str) -> dict[str, Mapping[str, Any]]:
    """Return the entries that hold all these names; models and gaps are told by what they hold."""
    entries = {k: v for k, v in found.items() if isinstance(v, Mapping)}
    return {k: v for k, v in entries.items() if v.keys() >= set(names)}


def _scalars(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of all values that fit into a cell, in their order."""
    names = (k for entry in found for k, v in entry.items() if not isinstance(v, Mapping | list))
    return list(dict.fromkeys(names))


def _verdict(
    found: Mapping[str, Any],
    models: Mapping[str, Mapping[str, Any]],
    gaps: Mapping[str, Any],
    confidence: Any,
) -> Iterator[str]:
    if student := models.get("student"):
        yield (
            f"The student gets {words.percent(student['accuracy'])} of {found.get('n', 'the')} "
            "gold articles right."
        )
    for name, gap in gaps.items():
        written = f"{words.decimal(gap['accuracy'], signed=True)} {words.bounds(gap, signed=True)}"
        yield f"{_sentence(words.named(name))}: {written}, {_judged(gap['low'], gap['high'])}."
    if confidence:
        yield f"Brackets hold {100 * confidence:g} % bootstrap intervals over the gold articles."


def _judged(low: float, high: float) -> str:
    if low > 0:
        return "better"
    return "worse" if high < 0 else "so these articles do not tell them apart"


def _sentence(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:]


def _table(models: Mapping[str, Mapping[str, Any]]) -> Table:
    columns = _scalars(models.values())
    body = tuple(
        (words.model_name(name), *(_cell(model, column) for column in columns))
        for name, model in models.items()
    )
    return Table("All models on the gold articles", ("model", *map(words.named, columns)), body)


def _cell(model: Mapping[str, Any], metric: str) -> str:
    if metric not in model:
        return ""
    written = words.value(model[metric])
    bounds = model["interval"].get(metric)
    return f"{written} {words.bounds(bounds)}" if bounds else written


def _accuracies(models: Mapping[str, Mapping[str, Any]]) -> Figure:
    heading = Heading(
        "accuracy",
        "Accuracy with its interval",
        "A dot for the accuracy of each model on a line from the low to the high end.",
    )
    found = [
        rows.Interval(
            words.named(name),
            model["accuracy"],
            bounds["low"],
            bounds["high"],
            f"{words.decimal(model['accuracy'])} {words.bounds(bounds)}",
        )
        for name, model in models.items()
        if (bounds := model["interval"].get("accuracy"))
    ]
    picture = rows.intervals(heading, found, "accuracy")
    body = tuple((row.name, *map(words.decimal, row[1:4])) for row in found)
    table = Table(heading.title, ("model", "accuracy", "low", "high"), body)
    return Figure(heading, svg.markup(picture), table)


def _gaps(gaps: Mapping[str, Any]) -> Figure:
    heading = Heading(
        "gaps",
        "Gaps of the student",
        "The student's accuracy minus another model's, paired over articles; right of 0 the "
        "student is better.",
    )
    found = [
        rows.Interval(
            f"minus {words.named(name.removeprefix('student_minus_'))}",
            gap["accuracy"],
            gap["low"],
            gap["high"],
            f"{words.decimal(gap['accuracy'], signed=True)} {words.bounds(gap, signed=True)}",
        )
        for name, gap in gaps.items()
    ]
    picture = rows.intervals(heading, found, "difference of accuracy", zero=True)
    columns = _scalars(gaps.values())
    body = tuple(
        (words.named(name), *(words.value(gap.get(column, "")) for column in columns))
        for name, gap in gaps.items()
    )
    table = Table(heading.title, ("gap", *map(words.named, columns)), body)
    return Figure(heading, svg.markup(picture), table)


def by_group(run: Run) -> Section | None:
    """Return the accuracies per domain, language and whatever else `evaluate` grouped by."""
    found = run.metrics.get("evaluate", {})
    groups = {k: v for k, v in found.items() if k.startswith("by_")}
    grouped = {k.removeprefix("by_"): held for k, v in groups.items() if (held := _holding(v, "n"))}
    if not grouped:
        return None
    lead = "A small group says little: mind n, the number of gold articles."
    figures = tuple(_group(name, groups) for name, groups in grouped.items())
    return Section("groups", "Accuracy by group", lead, figures=figures)


def _group(name: str, groups: Mapping[str, Mapping[str, Any]]) -> Figure:
    heading = Heading(
        f"by-{name}",
        f"Accuracy by {words.named(name)}",
        "A line for each group, the largest first, with a mark for the accuracy of each model.",
    )
    ordered = sorted(groups.items(), key=lambda item: (-item[1]["n"], item[0]))
    models = [key for key in _scalars(groups.values()) if key != "n"]
    series = {i: key for i, key in enumerate(PICTURED) if key in models}
    picture = rows.groups(
        heading,
        [
            rows.Group(group, f"n = {v['n']}", {i: v[key] for i, key in series.items() if key in v})
            for group, v in ordered
        ],
        {i: words.named(key) for i, key in series.items()},
        "accuracy",
    )
    body = tuple(
        (group, str(v["n"]), *(words.value(v.get(key, "")) for key in models))
        for group, v in ordered
    )
    columns = (words.named(name), "n", *map(words.model_name, models))
    return Figure(heading, svg.markup(picture), Table(heading.title, columns, body))
