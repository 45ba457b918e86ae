"""fetch: the sources of the task into tables of articles and of rejected rows."""

import polars as pl

from akd import console, params
from akd.console import PathOption
from akd.corpus.fetch import fetch
from akd.corpus.report import counts, sizes
from akd.io import resume_folder, write_json
from akd.task import load_domains, load_task


def main(
    task: PathOption, domains: PathOption, files: PathOption, out: PathOption, metrics: PathOption
) -> None:
    """Read every source of the task; `files` is the folder of the user's own articles."""
    settings = params.load()
    fetch(
        load_task(task).sources,
        out,
        folder=files,
        domains=load_domains(domains),
        pages=resume_folder() / "pages",
        max_articles_per_source=settings.fetch.max_articles_per_source,
    )
    kept = pl.scan_parquet(out / "articles").rename({"language_hint": "language"})
    report = counts(kept, pl.scan_parquet(out / "rejected"))
    write_json(metrics, {**report, "kept_by_source": sizes(kept, "source")})


if __name__ == "__main__":
    console.run(main)
