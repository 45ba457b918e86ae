"""teacher-label: every filtered article once through the teacher; resumable."""

from akd import console, params
from akd.console import PathOption
from akd.io import read_table, replacing, write_json, write_table, write_tensors
from akd.prompts import store as prompts
from akd.records import FILTERED, SIGNAL
from akd.teacher.engine import adapted_store, adapted_teacher
from akd.teacher.label import signals, summary
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
    with replacing(out) as aside:
        write_table(aside / "scores", frame, SIGNAL)
        write_tensors(aside / "hidden.safetensors", {"decision": hidden})
    write_json(metrics, summary(frame, hidden))


if __name__ == "__main__":
    console.run(main)
