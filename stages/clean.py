"""clean: clean texts, detect languages, drop duplicates; every rejected row keeps its reason."""

import polars as pl

from akd import console, params
from akd.console import PathOption
from akd.corpus.cleaning.clean import clean
from akd.corpus.cleaning.preparation import Preparation
from akd.corpus.report import counts
from akd.io import write_json


def main(raw: PathOption, out: PathOption, metrics: PathOption) -> None:
    """Clean the fetched articles into `out`/articles and `out`/rejected."""
    settings = params.load()
    limits, duplicates = settings.clean, settings.clean.duplicates
    preparation = Preparation(
        min_characters=limits.min_characters,
        max_characters=limits.max_characters,
        languages=tuple(limits.languages),
        backend=limits.language.backend,
        language_characters=limits.language.characters,
        sure=limits.language.sure,
        permutations=duplicates.permutations,
        shingle=duplicates.shingle,
        seed=settings.seed,
    )
    clean(
        raw / "articles",
        out,
        preparation,
        similarity=duplicates.similarity,
        workers=console.workers(),
    )
    kept, rejected = pl.scan_parquet(out / "articles"), pl.scan_parquet(out / "rejected")
    write_json(metrics, counts(kept, rejected))


if __name__ == "__main__":
    console.run(main)
