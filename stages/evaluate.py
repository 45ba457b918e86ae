"""evaluate: teacher, student as is, student and TF-IDF on the gold articles."""

import time

import numpy as np

from akd import console, params
from akd.clock import stage_seconds
from akd.console import PathOption
from akd.corpus.examples import with_texts
from akd.distill.lessons import read_lessons
from akd.errors import InputError
from akd.evaluate import compare
from akd.evaluate.contestants import Resources, contest
from akd.evaluate.resources import costs, machine_watts
from akd.io import read_json, write_csv, write_json, write_table
from akd.records import PREDICTION
from akd.task import load_examples, load_task


def main(
    task: PathOption, clean: PathOption, filtered: PathOption, signals: PathOption,
    models: PathOption, prompt: PathOption, adapter: PathOption, trained: PathOption,
    out: PathOption, metrics: PathOption,
) -> None:  # fmt: skip
    """Write predictions, metrics and tables into the folder `metrics`; `trained` is the phase's."""
    start, watts = time.perf_counter(), machine_watts()
    settings, names = params.load(), load_task(task / "task.yaml").label_names
    examples = load_examples(task / "gold.jsonl", names)
    if not examples:
        raise InputError(
            f"{task / 'gold.jsonl'} holds no example: annotate articles that only evaluation sees, "
            "some of each label"
        )
    articles = with_texts(examples, clean, settings.clean.max_characters)
    gold = np.array([names.index(label) for label in articles["label"]])
    resources: Resources = {"trainable_share": read_json(trained)["trainable_share"]}
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
    report = {
        "task": settings.task,
        "pair": settings.pair,
        "n": len(gold),
        **compare.headline(gold, found, seed=settings.seed, **settings.evaluate.model_dump()),
        **compare.by_groups(gold, found, articles),
    }
    table = compare.prediction_table(articles["id"].to_list(), gold, found, names)
    write_table(out, table, PREDICTION)
    write_csv(metrics / "errors.csv", compare.error_table(articles, gold, found, names))
    write_csv(metrics / "confusion.csv", compare.confusion_table(gold, found["student"], names))
    reliability = compare.reliability_table(gold, found, settings.evaluate.bins)
    write_csv(metrics / "reliability.csv", reliability)
    seconds = {**stage_seconds(), "evaluate": round(time.perf_counter() - start, 3)}
    write_json(metrics / "resources.json", {**resources, **costs(seconds, watts)})
    write_json(metrics / "evaluate.json", report)


if __name__ == "__main__":
    console.run(main)
