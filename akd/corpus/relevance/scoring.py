"""Relevance of all articles, shard by shard: a table that stands beside that of the articles."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from akd.corpus.relevance.scores import Logits, domain_scores, signal_scores
from akd.io import replacing, table_shards
from akd.records import RELEVANCE


def score_articles(
    clean: Path,
    out: Path,
    *,
    domains: Sequence[str],
    domain_logits: Logits,
    tenses: Sequence[str],
    signal_logits: Logits,
) -> int:
    """Write the table `records.RELEVANCE`, a shard for each shard of the clean articles.

    Args:
        clean: what the clean stage wrote.
        domains: names of the domains, the columns of `domain_logits`.
        tenses: names of the tenses, the columns of `signal_logits`.

    Returns:
        The number of articles.
    """
    total = 0
    with replacing(out) as aside:
        for shard in table_shards(clean / "articles"):
            rows = pl.read_parquet(shard, columns=["id", "domain", "text"])
            scores = _scores(rows, domains, domain_logits, tenses, signal_logits)
            scores.write_parquet(aside / shard.name, compression="zstd")
            total += rows.height
    return total


def _scores(
    rows: pl.DataFrame,
    domains: Sequence[str],
    domain_logits: Logits,
    tenses: Sequence[str],
    signal_logits: Logits,
) -> pl.DataFrame:
    if rows.is_empty():
        return pl.DataFrame(schema=RELEVANCE)
    texts = rows["text"].to_list()
    domain = domain_scores(domain_logits(texts), rows["domain"].to_list(), domains)
    signal = signal_scores(signal_logits(texts), tenses)
    return pl.DataFrame(
        {"id": rows["id"], "domain_score": domain.round(6), "signal_score": signal.round(6)},
        schema=RELEVANCE,
    )
