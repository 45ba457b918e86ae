"""Alerts: what the student says of the newest articles."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from akd.evaluate.metrics import Floats
from akd.task import Label


def newest(articles: pl.LazyFrame, count: int) -> pl.DataFrame:
    """Return the newest articles, newest first; those without a date come last, by id."""
    dated = articles.with_columns(undated=pl.col("published") == "")
    order = dated.sort("undated", "published", "id", descending=[False, True, False])
    return order.head(count).drop("undated").collect(engine="streaming")


def alerts(
    articles: pl.DataFrame, probabilities: Floats, labels: Sequence[Label]
) -> list[dict[str, Any]]:
    """Return one alert an article, the most severe first."""
    rows = answers(articles.iter_rows(named=True), probabilities, labels)
    return sorted(rows, key=lambda row: (-row["severity_score"], row["id"]))


def answers(
    articles: Iterable[Mapping[str, Any]], probabilities: Floats, labels: Sequence[Label]
) -> list[dict[str, Any]]:
    """Return what is said of each article, in their order.

    The severity score is sum_c p_c * weight_c ([ANON] 2), the level that of the chosen label.
    """
    rows = []
    for article, found in zip(articles, probabilities, strict=True):
        label = labels[int(found.argmax())]
        severity = sum(p * c.severity.weight for p, c in zip(found, labels, strict=True))
        rows.append(
            {
                "id": article["id"],
                "label": label.name,
                "confidence": round(float(found.max()), 6),
                "severity": label.severity.level,
                "severity_score": round(float(severity), 6),
                "title": article["title"] or article["text"][:80],
                "domain": article["domain"],
                "language": article["language"],
                "published": article["published"],
            }
        )
    return rows
