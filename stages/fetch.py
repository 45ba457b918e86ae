"""fetch: the sources of the task into one table of articles."""

from akd import console, params
from akd.console import PathOption
from akd.corpus.fetch import fetch
from akd.io import write_json, write_table
from akd.records import ARTICLE
from akd.task import load_task


def main(task: PathOption, files: PathOption, out: PathOption, metrics: PathOption) -> None:
    """Read every source of the task; `files` is the folder of the user's own articles."""
    settings = params.load()
    articles = fetch(load_task(task).sources, files, settings.fetch.max_articles_per_source)
    write_table(out, articles, ARTICLE)
    counts = articles.group_by("source").len().sort("source")
    write_json(metrics, {"articles": articles.height, "sources": dict(counts.iter_rows())})


if __name__ == "__main__":
    console.run(main)
