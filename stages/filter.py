"""filter: keep what is relevant to the task and not held out for testing."""

from functools import partial

from akd import console, params
from akd.console import PathOption
from akd.corpus.duplicates import NearDuplicateIndex
from akd.corpus.filter import filter_articles
from akd.corpus.relevance import domain_scores, signal_scores
from akd.corpus.report import counts
from akd.io import read_table, write_json, write_tables
from akd.models.embedding import similarity_of
from akd.records import CLEAN, FILTERED, REJECTED
from akd.task import load_held_out, load_task


def main(
    task: PathOption, clean: PathOption, models: PathOption, out: PathOption, metrics: PathOption
) -> None:
    """Filter the clean articles into `out`/articles and `out`/rejected."""
    settings, definition = params.load(), load_task(task / "task.yaml")
    held_out = load_held_out(task, definition.label_names)
    limits, words = settings.filter, definition.keywords.model_dump()
    duplicate = settings.clean.duplicates.model_copy(
        update={"similarity": limits.held_out_similarity}
    )
    domain, signal = (
        similarity_of(scorer, limits.embedding, models / "teacher", settings.label.batch_size)
        for scorer in (limits.domain, limits.signal)
    )
    kept, rejected = filter_articles(
        read_table(clean / "articles", CLEAN),
        held_out=held_out,
        duplicates=NearDuplicateIndex(**duplicate.model_dump(), seed=settings.seed),
        domain_scores=partial(domain_scores, domains=words.pop("domains"), similarity=domain),
        domain_threshold=limits.domain.threshold,
        signal_scores=partial(signal_scores, **words, similarity=signal),
        signal_threshold=limits.signal.threshold,
        max_articles=limits.max_articles,
    )
    write_tables(out, {"articles": (kept, FILTERED), "rejected": (rejected, REJECTED)})
    write_json(metrics, counts(kept, rejected))


if __name__ == "__main__":
    console.run(main)
