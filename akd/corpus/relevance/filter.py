"""Filter: keep what is relevant and not held out; every other article is rejected with a reason.

Two passes over the shards: the first judges each article, the second writes. In memory are a few
short columns of all articles, and the texts of one shard.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from akd.corpus.duplicates import NearDuplicateIndex
from akd.corpus.examples import annotated_articles, own_text
from akd.corpus.sampling import balanced_sample
from akd.corpus.verdicts import write_judged
from akd.errors import InputError
from akd.io import replacing, table_shards
from akd.records import CLEAN, FILTERED, RELEVANCE
from akd.task import Example


@dataclass(frozen=True)
class Limits:
    """What an article must reach, and how many are kept of those that do."""

    domain: float
    signal: float
    max_articles: int


def filter_articles(
    clean: Path,
    relevance: Path,
    out: Path,
    *,
    held_out: Sequence[Example],
    max_characters: int,
    duplicates: NearDuplicateIndex,
    limits: Limits,
) -> None:
    """Write `out`/articles and `out`/rejected.

    Gold, shots and their near duplicates go first, then what is off domain, then what is past. Of
    more than `max_articles` a sample stays that has as many of each domain as there are, and does
    not depend on the order of the rows.

    Args:
        clean: what the clean stage wrote.
        relevance: the table `records.RELEVANCE`, row by row beside the clean articles.
        held_out: gold and shots, articles of the corpus or with a text of their own.
        max_characters: to which an example's own text is cut, like an article.
        duplicates: an empty index with the similarity that counts as a near duplicate here.

    Raises:
        InputError: if an example has no text, nothing is kept, or the relevance is that of other
            articles.
    """
    shards = list(zip(table_shards(clean / "articles"), table_shards(relevance), strict=True))
    names = _index(held_out, clean, max_characters, duplicates)
    ids = {example.id for example in held_out}
    judged = [_judge(_scored(*pair), ids, names, duplicates, limits) for pair in shards]
    verdicts = _within_budget(pl.concat(judged), limits.max_articles)
    kept = verdicts.filter(pl.col("reason") == "").height
    if not kept:
        raise InputError(_nothing_is_kept(verdicts))
    with replacing(out) as aside:
        start = written = 0
        for number, pair in enumerate(shards):
            rows = _scored(*pair)
            told = verdicts.slice(start, rows.height).select("reason", "detail")
            written += write_judged(rows.with_columns(told), FILTERED, aside, number)[0]
            start += rows.height
    if start != verdicts.height or written != kept:
        raise RuntimeError(f"{clean}: rows in are not kept + rejected")


def _index(
    held_out: Sequence[Example], clean: Path, max_characters: int, duplicates: NearDuplicateIndex
) -> list[str]:
    """Add the texts of gold and shots to the index; return the id of each, in its order."""
    inside = annotated_articles(held_out, clean).select("id", "text").rows()
    own = [(e.id, text) for e in held_out if (text := own_text(e, max_characters))]
    names = []
    for name, text in [*inside, *own]:
        duplicates.add(text)
        names.append(name)
    return names


def _scored(articles: Path, relevance: Path) -> pl.DataFrame:
    """Return a shard of articles with their scores (`records.FILTERED`)."""
    rows, scores = pl.read_parquet(articles), pl.read_parquet(relevance)
    if rows.schema != CLEAN or scores.schema != RELEVANCE or not rows["id"].equals(scores["id"]):
        raise InputError(f"{relevance} does not score the articles of {articles}: run dvc repro")
    return rows.with_columns(scores.drop("id"))


def _judge(
    rows: pl.DataFrame,
    ids: set[str],
    names: Sequence[str],
    duplicates: NearDuplicateIndex,
    limits: Limits,
) -> pl.DataFrame:
    """Return id, domain, reason and detail of each row; the reason of a relevant one is empty."""
    held_out = rows["id"].is_in(list(ids))
    near = [
        None if is_held_out else duplicates.find(text)
        for text, is_held_out in zip(rows["text"], held_out, strict=True)
    ]
    twins = pl.Series("near", ["" if n is None else names[n] for n in near], pl.String)
    steps: list[tuple[pl.Series | pl.Expr, str, pl.Expr]] = [
        (held_out, "held_out", pl.lit("gold or shot")),
        (twins != "", "near_duplicate_of_held_out", pl.lit(twins)),
        *(
            (pl.col(column) < limit, reason, _below(column, limit))
            for column, limit, reason in (
                ("domain_score", limits.domain, "off_domain"),
                ("signal_score", limits.signal, "past"),
            )
        ),
    ]
    reason, detail = pl.lit(""), pl.lit("")
    for is_met, name, told in reversed(steps):  # the first step that is met decides
        reason = pl.when(is_met).then(pl.lit(name)).otherwise(reason)
        detail = pl.when(is_met).then(told).otherwise(detail)
    return rows.select("id", "domain", reason.alias("reason"), detail.alias("detail"))


def _below(column: str, limit: float) -> pl.Expr:
    return pl.format("{} {} is below {}", pl.lit(column), pl.col(column).round(3), pl.lit(limit))


def _within_budget(verdicts: pl.DataFrame, max_articles: int) -> pl.DataFrame:
    """Reject what is relevant but too much."""
    verdicts = verdicts.with_row_index("row")
    relevant = verdicts.filter(pl.col("reason") == "")
    chosen = balanced_sample(relevant["id"].to_list(), relevant["domain"].to_list(), max_articles)
    allowed = relevant["row"].gather(chosen)
    is_over = (pl.col("reason") == "") & ~pl.col("row").is_in(allowed.implode())
    over = {"reason": "over_budget", "detail": f"more than {max_articles} articles"}
    return verdicts.with_columns(
        pl.when(is_over).then(pl.lit(text)).otherwise(name).alias(name)
        for name, text in over.items()
    )


def _nothing_is_kept(verdicts: pl.DataFrame) -> str:
    counts = verdicts["reason"].value_counts(sort=True).rows()
    told = ", ".join(f"{count} {reason}" for reason, count in counts) or "there was none"
    return (
        f"the filter keeps no article ({told}): lower filter.domain.threshold or "
        "filter.signal.threshold, or correct the keywords of the task"
    )
