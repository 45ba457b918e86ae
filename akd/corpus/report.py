"""What a step of the corpus kept and rejected, as metrics and as plot tables."""

from typing import Any

import polars as pl


def counts(kept: pl.LazyFrame, rejected: pl.LazyFrame) -> dict[str, Any]:
    """Return rows in, kept and rejected, by reason, domain and language.

    Only the columns that are counted are read, a piece at a time: the tables may be larger than
    the memory.

    Args:
        kept: a table with the columns `domain` and `language`.
        rejected: a table with the columns `domain` and `reason`.
    """
    languages, reasons = sizes(kept, "language"), sizes(rejected, "reason")
    rows_kept, rows_rejected = sum(languages.values()), sum(reasons.values())
    rows_in = rows_kept + rows_rejected
    return {
        "rows_in": rows_in,
        "kept": rows_kept,
        "kept_share": _share(rows_kept, rows_in),
        "rejected": rows_rejected,
        "reasons": reasons,
        "kept_by_domain": sizes(kept, "domain"),
        "rejected_by_domain": sizes(rejected, "domain"),
        "kept_by_language": languages,
    }


def by_domain(articles: pl.LazyFrame, kept: pl.LazyFrame) -> dict[str, dict[str, Any]]:
    """Return table 1 of [ANON] for this corpus: for each domain its articles and what is kept.

    Args:
        articles: what came in, with `domain`, `language` and `published` (ISO 8601 or empty).
        kept: what is left of it, with `domain`.

    Returns:
        For each domain `articles`, `first` and `last` day (empty where no date is known),
        `languages` (how many), `kept` and `kept_share`.
    """
    day = pl.col("published").str.head(10)
    rows = articles.group_by("domain").agg(
        pl.len().alias("articles"),
        day.filter(day != "").min().fill_null("").alias("first"),
        day.filter(day != "").max().fill_null("").alias("last"),
        pl.col("language").n_unique().alias("languages"),
    )
    found = rows.sort("domain").collect(engine="streaming")
    left = sizes(kept, "domain")
    table = {}
    for row in found.iter_rows(named=True):
        name = row.pop("domain")
        number = left.get(name, 0)
        table[name] = {**row, "kept": number, "kept_share": _share(number, row["articles"])}
    return table


def kept_shares(articles: pl.LazyFrame, kept: pl.LazyFrame, column: str) -> pl.DataFrame:
    """Return articles, kept and kept share of each group of a column, for a plot."""
    before, left = sizes(articles, column), sizes(kept, column)
    return pl.DataFrame(
        {
            column: list(before),
            "articles": list(before.values()),
            "kept": [left.get(name, 0) for name in before],
            "kept_share": [_share(left.get(name, 0), size) for name, size in before.items()],
        }
    )


def sizes(frame: pl.LazyFrame, column: str) -> dict[str, int]:
    """Return how many rows each value of a column has."""
    found = frame.group_by(column).len().sort(column).collect(engine="streaming")
    return dict(found.iter_rows())


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
