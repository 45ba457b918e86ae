"""evaluate: teacher, student as is, student and TF-IDF on the gold articles."""

import numpy as np

from akd import console, params
from akd.console import PathOption
from akd.corpus.examples import with_texts
from akd.distill.phase import lessons_of
from akd.evaluate import compare, contestants
from akd.evaluate.intervals import resamples
from akd.evaluate.resources import peak_gib
from akd.io import read_table, write_csv, write_json, write_table
from akd.records import FILTERED, PREDICTION, SIGNAL
from akd.task import load_examples, load_task


def main(
    task: PathOption, clean: PathOption, filtered: PathOption, signals: PathOption,
    models: PathOption, prompt: PathOption, adapter: PathOption, out: PathOption,
    metrics: PathOption,
) -> None:
    """Write predictions, metrics and plot tables; `metrics` is a folder."""
    settings, definition = params.load(), load_task(task / "task.yaml")
    names, limits = definition.label_names, settings.evaluate
    examples = load_examples(task / "gold.jsonl", names)
    articles = with_texts(examples, clean, settings.clean.max_characters)
    gold = np.array([names.index(label) for label in articles["label"]])
    texts, size = articles["text"].to_list(), settings.label.batch_size
    lessons = lessons_of(
        read_table(filtered / "articles", FILTERED), read_table(signals / "scores", SIGNAL)
    )
    resources: contestants.Resources = {}
    found = contestants.student_and_baseline_probabilities(
        models / "student", adapter, lessons, texts,
        quantization=settings.quantization, batch_size=size, resources=resources,
    )
    found["teacher"] = contestants.teacher_probabilities(
        models / "teacher", prompt, texts,
        text_tokens=settings.label.article_tokens, batch_size=size, resources=resources,
    )
    draws = resamples(len(gold), limits.resamples, settings.seed)
    head = {"task": settings.task, "pair": settings.pair, "n": len(gold)}
    groups = {f"by_{g}": compare.by_group(gold, found, articles[g]) for g in ("domain", "language")}
    table = compare.headline(gold, found, draws, limits.bins, limits.confidence)
    write_table(out, compare.prediction_table(articles["id"], gold, found, names), PREDICTION)
    write_csv(metrics / "confusion.csv", compare.confusion_table(gold, found["student"], names))
    write_csv(metrics / "reliability.csv", compare.reliability_table(gold, found, limits.bins))
    write_json(metrics / "resources.json", {**resources, "peak_gib": peak_gib()})
    write_json(metrics / "evaluate.json", {**head, **table, **groups})


if __name__ == "__main__":
    console.run(main)
