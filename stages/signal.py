"""signal: alerts of the student for the newest articles."""

import polars as pl

from akd import console, params
from akd.console import PathOption
from akd.evaluate.alerts import alerts, newest
from akd.evaluate.predict import load_student, student_probabilities
from akd.io import replacing, write_json, write_json_lines
from akd.task import load_task


def main(
    task: PathOption,
    clean: PathOption,
    student: PathOption,
    adapter: PathOption,
    out: PathOption,
    metrics: PathOption,
) -> None:
    """Write `out`/alerts.jsonl, the most severe first."""
    settings, definition = params.load(), load_task(task)
    articles = newest(pl.scan_parquet(clean / "articles"), settings.signal.articles)
    taught = load_student(student, adapter, settings.quantization)
    found = student_probabilities(taught, articles["text"].to_list(), settings.label.batch_size)
    rows = alerts(articles, found, definition.labels)
    with replacing(out) as aside:
        write_json_lines(aside / "alerts.jsonl", rows)
    counts = {name: sum(row["label"] == name for row in rows) for name in definition.label_names}
    write_json(metrics, {"articles": len(rows), "labels": counts})


if __name__ == "__main__":
    console.run(main)
