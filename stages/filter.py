"""filter: keep what is relevant to the task and not held out for testing."""

from functools import partial

from akd import console, params
from akd.console import PathOption
from akd.corpus import relevance
from akd.corpus.duplicates import NearDuplicateIndex
from akd.corpus.filter import filter_articles
from akd.corpus.report import counts
from akd.io import read_table, replacing, write_json, write_table
from akd.models.embedding import similarity_of
from akd.records import CLEAN, FILTERED, REJECTED
from akd.task import load_examples, load_task


def main(
    task: PathOption, clean: PathOption, models: PathOption, out: PathOption, metrics: PathOption
) -> None:
    """Filter the clean articles into `out`/articles and `out`/rejected."""
    settings, definition = params.load(), load_task(task / "task.yaml")
    limits, words = settings.filter, definition.keywords
    held_out = [
        example
        for name in ("shots.jsonl", "gold.jsonl")
        for example in load_examples(task / name, definition.label_names)
    ]
    domain = similarity_of(limits.domain, models / "teacher", settings.label.batch_size)
    signal = similarity_of(limits.signal, models / "teacher", settings.label.batch_size)
    kept, rejected = filter_articles(
        read_table(clean / "articles", CLEAN),
        held_out={example.id for example in held_out},
        held_out_texts=[example.text for example in held_out if example.text],
        duplicates=NearDuplicateIndex(
            permutations=settings.clean.duplicates.permutations,
            shingle=settings.clean.duplicates.shingle,
            similarity=limits.held_out_similarity,
            seed=settings.seed,
        ),
        domain_scores=partial(
            relevance.domain_scores, domains=words.domains, similarity=domain
        ),
        domain_threshold=limits.domain.threshold,
        signal_scores=partial(
            relevance.signal_scores,
            present=words.present, future=words.future, past=words.past, similarity=signal,
        ),
        signal_threshold=limits.signal.threshold,
        max_articles=limits.max_articles,
    )
    with replacing(out) as aside:
        write_table(aside / "articles", kept, FILTERED)
        write_table(aside / "rejected", rejected, REJECTED)
    write_json(metrics, counts(kept, rejected))


if __name__ == "__main__":
    console.run(main)
