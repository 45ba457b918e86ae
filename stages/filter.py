"""filter: keep what is relevant to the task and not held out for testing; no model is loaded."""

import polars as pl

from akd import console, params
from akd.console import PathOption
from akd.corpus.duplicates import NearDuplicateIndex
from akd.corpus.relevance.filter import Limits, filter_articles
from akd.corpus.report import by_domain, counts, kept_shares
from akd.io import write_csv, write_json
from akd.task import load_held_out, load_task


def main(
    task: PathOption, clean: PathOption, relevance: PathOption, out: PathOption,
    metrics: PathOption, plots: PathOption,
) -> None:  # fmt: skip
    """Filter the clean articles into `out`/articles and `out`/rejected."""
    settings = params.load()
    limits, duplicate = settings.filter, settings.clean.duplicates
    filter_articles(
        clean,
        relevance,
        out,
        held_out=load_held_out(task, load_task(task / "task.yaml").label_names),
        max_characters=settings.clean.max_characters,
        duplicates=NearDuplicateIndex(
            duplicate.permutations, duplicate.shingle, limits.held_out_similarity, settings.seed
        ),
        limits=Limits(limits.domain.threshold, limits.signal.threshold, limits.max_articles),
    )
    articles, kept = pl.scan_parquet(clean / "articles"), pl.scan_parquet(out / "articles")
    report = counts(kept, pl.scan_parquet(out / "rejected"))
    write_json(metrics, {**report, "domains": by_domain(articles, kept)})
    for column in ("domain", "language"):
        write_csv(plots / f"{column}.csv", kept_shares(articles, kept, column))


if __name__ == "__main__":
    console.run(main)
