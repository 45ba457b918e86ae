"""evaluate: teacher, student as is, student and TF-IDF on the gold articles."""

import numpy as np

from akd import console, params
from akd.console import PathOption
from akd.corpus.examples import with_texts
from akd.distill.lessons import read_lessons
from akd.evaluate import compare
from akd.evaluate.contestants import Resources, contest
from akd.evaluate.resources import peak_gib
from akd.io import write_csv, write_json, write_table
from akd.records import PREDICTION
from akd.task import load_examples, load_task


def main(
    task: PathOption, clean: PathOption, filtered: PathOption, signals: PathOption,
    models: PathOption, prompt: PathOption, adapter: PathOption, out: PathOption,
    metrics: PathOption,
) -> None:  # fmt: skip
    """Write predictions, metrics and plot tables; `metrics` is a folder."""
    settings, names = params.load(), load_task(task / "task.yaml").label_names
    examples = load_examples(task / "gold.jsonl", names)
    articles = with_texts(examples, clean, settings.clean.max_characters)
    gold = np.array([names.index(label) for label in articles["label"]])
    resources: Resources = {}
    found = contest(
        articles["text"].to_list(),
        read_lessons(filtered, signals),
        models=models,
        prompt=prompt,
        adapter=adapter,
        quantization=settings.quantization,
        engine=settings.label.engine,
        batch_size=settings.label.batch_size,
        resources=resources,
    )
    head = {"task": settings.task, "pair": settings.pair, "n": len(gold)}
    figures = compare.headline(gold, found, seed=settings.seed, **settings.evaluate.model_dump())
    groups = compare.by_groups(gold, found, articles.select("domain", "language"))
    table = compare.prediction_table(articles["id"].to_list(), gold, found, names)
    write_table(out, table, PREDICTION)
    write_csv(metrics / "confusion.csv", compare.confusion_table(gold, found["student"], names))
    reliability = compare.reliability_table(gold, found, settings.evaluate.bins)
    write_csv(metrics / "reliability.csv", reliability)
    write_json(metrics / "resources.json", {**resources, "peak_gib": peak_gib()})
    write_json(metrics / "evaluate.json", {**head, **figures, **groups})


if __name__ == "__main__":
    console.run(main)
