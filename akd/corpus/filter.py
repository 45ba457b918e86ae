"""Filter: keep what is relevant and not held out; every other article is rejected with a reason."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from akd.corpus.duplicates import NearDuplicateIndex
from akd.corpus.sampling import balanced_sample
from akd.errors import InputError
from akd.records import FILTERED, REJECTED
from akd.task import Example

ScoreTexts = Callable[[Sequence[str]], NDArray[np.float64]]


def filter_articles(
    articles: pl.DataFrame,
    *,
    held_out: Sequence[Example],
    duplicates: NearDuplicateIndex,
    domain_scores: ScoreTexts,
    domain_threshold: float,
    signal_scores: ScoreTexts,
    signal_threshold: float,
    max_articles: int,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Drop gold and shots with their near duplicates, then in two steps what is not relevant.

    The second step scores only what passed the first. Of more than `max_articles` a sample stays
    that has as many of each domain as there are, and does not depend on the order of the rows.

    Args:
        articles: `records.CLEAN`.
        held_out: gold and shots, articles of the corpus or with a text of their own.
        duplicates: an empty index with the similarity that counts as a near duplicate here.

    Returns:
        The kept articles (`records.FILTERED`) and the rejected ones (`records.REJECTED`).

    Raises:
        InputError: if nothing is kept.
    """
    rejected: list[pl.DataFrame] = []

    def keep(frame: pl.DataFrame, reasons: Sequence[str], details: Sequence[str]) -> pl.DataFrame:
        judged = frame.with_columns(
            pl.Series("reason", reasons, pl.String), pl.Series("detail", details, pl.String)
        )
        rejected.append(judged.filter(pl.col("reason") != "").select(REJECTED.names()))
        return judged.filter(pl.col("reason") == "").drop("reason", "detail")

    kept = keep(articles, *_held_out(articles, held_out, duplicates))
    for column, score, threshold, reason in (
        ("domain_score", domain_scores, domain_threshold, "off_domain"),
        ("signal_score", signal_scores, signal_threshold, "past"),
    ):
        values = score(kept["text"].to_list()).round(6) if kept.height else np.empty(0)
        kept = kept.with_columns(pl.Series(column, values, pl.Float64))
        low = [value < threshold for value in values]
        details = [f"{column} {value:.3f} is below {threshold}" for value in values]
        kept = keep(kept, [reason if is_low else "" for is_low in low], details)
    kept = keep(kept, *_over_budget(kept, max_articles))
    if kept.is_empty():
        counts = pl.concat(rejected)["reason"].value_counts(sort=True).rows()
        told = ", ".join(f"{count} {reason}" for reason, count in counts) or "there was none"
        raise InputError(
            f"the filter keeps no article ({told}): lower filter.domain.threshold or "
            "filter.signal.threshold, or correct the keywords of the task"
        )
    return kept.select(FILTERED.names()), pl.concat(rejected)


def _held_out(
    articles: pl.DataFrame,
    held_out: Sequence[Example],
    duplicates: NearDuplicateIndex,
) -> tuple[list[str], list[str]]:
    """Return reason and detail of each article with regard to gold and shots."""
    ids = {example.id for example in held_out}
    names = []
    inside = articles.filter(pl.col("id").is_in(list(ids))).select("id", "text").rows()
    for name, text in [*inside, *((e.id, e.text) for e in held_out if e.text)]:
        duplicates.add(text)
        names.append(name)
    reasons, details = [], []
    for key, text in articles.select("id", "text").iter_rows():
        near = None if key in ids else duplicates.find(text)
        if key in ids:
            reasons.append("held_out")
            details.append("gold or shot")
        else:
            reasons.append("" if near is None else "near_duplicate_of_held_out")
            details.append("" if near is None else names[near])
    return reasons, details


def _over_budget(articles: pl.DataFrame, max_articles: int) -> tuple[list[str], list[str]]:
    ids, domains = articles["id"].to_list(), articles["domain"].to_list()
    allowed = set(balanced_sample(ids, domains, max_articles))
    reasons = ["" if row in allowed else "over_budget" for row in range(len(ids))]
    return reasons, [f"more than {max_articles} articles" for _ in ids]
