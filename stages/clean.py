"""clean: clean texts, detect languages, drop duplicates; every rejected row keeps its reason."""

from akd import console, params
from akd.console import PathOption
from akd.corpus.clean import clean
from akd.corpus.duplicates import NearDuplicateIndex
from akd.corpus.report import counts
from akd.io import read_table, write_json, write_tables
from akd.records import ARTICLE, CLEAN, REJECTED


def main(raw: PathOption, out: PathOption, metrics: PathOption) -> None:
    """Clean the fetched articles into `out`/articles and `out`/rejected."""
    settings = params.load()
    limits = settings.clean
    kept, rejected = clean(
        read_table(raw, ARTICLE),
        min_characters=limits.min_characters,
        max_characters=limits.max_characters,
        languages=limits.languages,
        language_characters=limits.language_characters,
        duplicates=NearDuplicateIndex(**limits.duplicates.model_dump(), seed=settings.seed),
        workers=console.workers(),
    )
    write_tables(out, {"articles": (kept, CLEAN), "rejected": (rejected, REJECTED)})
    write_json(metrics, counts(kept, rejected))


if __name__ == "__main__":
    console.run(main)
