"""teacher-label: every filtered article once through the teacher; resumable."""

from akd import console, params
from akd.console import PathOption
from akd.io import read_table, write_json
from akd.prompts import store as prompts
from akd.records import FILTERED
from akd.teacher.engine import adapted_store, adapted_teacher
from akd.teacher.folder import describe, write_signals
from akd.teacher.label import signals
from akd.teacher.store import score_all


def main(
    filtered: PathOption,
    models: PathOption,
    prompt: PathOption,
    out: PathOption,
    metrics: PathOption,
) -> None:
    """Write signals and decision-position hidden states of the articles."""
    label = params.load().label
    reading = {"text_tokens": label.article_tokens, "batch_size": label.batch_size}
    articles = read_table(filtered / "articles", FILTERED)
    adapted = prompts.load(prompt)
    teacher = adapted_teacher(models / "teacher", adapted, **reading)
    store = adapted_store(models / "teacher", adapted, **reading)
    texts = articles["text"].to_list()
    scores = score_all(teacher.score, texts, store, label.shard_articles)
    frame, hidden = signals(articles["id"].to_list(), scores, adapted.calibrator, adapted.labels)
    write_signals(out, frame, hidden, labels=adapted.labels, fingerprint=store.fingerprint)
    write_json(metrics, describe(out))


if __name__ == "__main__":
    console.run(main)
