"""What became of the articles."""

from typing import Any

import polars as pl

from akd.report import words
from akd.report.blocks import Figure, Heading, Section, Table
from akd.report.charts import rows, svg
from akd.report.load import Run

_STAGES = ("fetch", "clean", "filter")


def kept(run: Run) -> Section | None:
    """Return rows in, kept and rejected of each stage, and the kept share of each group."""
    stages = {name: run.metrics[name] for name in _STAGES if name in run.metrics}
    if not stages and not run.kept:
        return None
    tables = (_flow(stages), _reasons(stages)) if stages else ()
    figures = tuple(_shares(*item) for item in run.kept.items())
    lead = "Rows in are rows kept and rejected; a rejected row keeps its reason."
    return Section(
        "corpus",
        "Articles kept",
        lead,
        tuple(table for table in tables if table.rows),
        figures,
    )


def _flow(stages: dict[str, Any]) -> Table:
    names = ("rows_in", "kept", "rejected")
    body = tuple(
        (
            stage,
            *(words.value(found.get(name, "")) for name in names),
            words.percent(found["kept_share"]) if "kept_share" in found else "",
        )
        for stage, found in stages.items()
    )
    return Table("Rows of each stage", ("stage", *map(words.named, names), "kept share"), body)


def _reasons(stages: dict[str, Any]) -> Table:
    body = tuple(
        (words.named(reason), stage, words.value(count))
        for stage, found in stages.items()
        for reason, count in sorted(found.get("reasons", {}).items(), key=lambda item: -item[1])
    )
    return Table("Why rows were rejected", ("reason", "stage", "rows"), body)


def _shares(name: str, frame: pl.DataFrame) -> Figure:
    heading = Heading(
        f"kept-{name}",
        f"Kept share by {name}",
        "A bar for each group, filled as far as the share of its clean articles that the filter "
        "kept.",
    )
    ordered = frame.sort(["articles", name], descending=[True, False])
    found = [
        rows.Share(group, f"{kept:,} of {articles:,}, {words.percent(share)}", share)
        for group, articles, kept, share in ordered.iter_rows()
    ]
    body = tuple(
        (group, words.value(articles), words.value(kept), words.percent(share))
        for group, articles, kept, share in ordered.iter_rows()
    )
    table = Table(heading.title, (name, "articles", "kept", "kept share"), body)
    return Figure(heading, svg.markup(rows.shares(heading, found)), table)
