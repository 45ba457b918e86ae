"""Each kind of adapter: trainable share, size, peak memory, speed and accuracy on bbc-topics.

Takes signals, articles and models of the last `dvc repro` with `task=bbc-topics`. Each kind is
trained in a process of its own, whose peak memory is its own, through all phases of params.yaml.
The documents per second count the loading of the student and the fitting of its readout in.

    python -m benchmarks.adapters

`full` runs with a tenth of the learning rate: at that of an adapter it forgets what it knows.
`bitfit` has nothing to train on a student without biases, and is then reported as refused.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import typer

from akd import params
from akd.corpus.examples import with_texts
from akd.distill.phase import PhaseResult, read_lessons, run_phase
from akd.errors import InputError
from akd.evaluate.metrics import accuracy
from akd.evaluate.predict import load_student, student_probabilities
from akd.evaluate.resources import folder_mb, peak_gib
from akd.io import read_json, write_json
from akd.models import adapters
from akd.models.load import load_model, load_tokenizer
from akd.params import Params
from akd.prompts.reading import reading_of
from akd.specs.adapters import Adapter
from akd.task import load_examples, load_task
from benchmarks.clone import write_result

TASK = "bbc-topics"
DATA = Path("data")
FULL_RATE = 0.1
KINDS = get_args(Adapter.model_fields["kind"].annotation)


def main(
    articles: Annotated[int, typer.Option(help="Lessons, at most.")] = 1000,
    gold: Annotated[int, typer.Option(help="Annotated articles, at most.")] = 500,
    kind: Annotated[str, typer.Option(help="One kind alone, written to --out.")] = "",
    out: Annotated[Path, typer.Option(help="Where --kind writes.")] = Path("adapter.json"),
) -> None:
    """Write benchmarks/results/adapters.json."""
    if kind:
        write_json(out, _one(kind, articles, gold))
        return
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in KINDS:
            file = Path(scratch) / f"{name}.json"
            own = ["--kind", name, "--out", str(file)]
            limits = ["--articles", str(articles), "--gold", str(gold)]
            command = [sys.executable, "-m", "benchmarks.adapters", *own, *limits]
            subprocess.run(command, check=True)
            rows[name] = read_json(file)
            print(name, json.dumps(rows[name]), flush=True)
    command_line = f"python -m benchmarks.adapters --articles {articles} --gold {gold}"
    write_result("adapters", command_line, {"task": TASK, "kinds": rows})


def _one(kind: str, articles: int, gold: int) -> dict[str, Any]:
    """Train one adapter through all phases; return its figures."""
    settings = _settings(kind)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        adapters.write_empty(folder / "student")
        try:
            start = time.perf_counter()
            results = _train(settings, folder, articles)
            seconds = time.perf_counter() - start
        except InputError as error:
            return {"refused": str(error)}
        final = folder / settings.distill.final
        seen = sum(
            result.articles * settings.distill.phases[name].epochs
            for name, result in results.items()
        )
        last = results[settings.distill.final]
        return {
            "seed": settings.seed,
            "learning_rate": settings.optimizer.learning_rate,
            "trainable_parameters": last.trainable,
            "trainable_share": round(last.trainable / last.parameters, 6),
            "adapter_mb": folder_mb(final),
            "peak_gib": peak_gib(),  # before the gold articles are read
            "documents_per_second": round(seen / seconds, 2),
            "last_loss": round(last.curve[-1]["loss"], 4),
            **_accuracy(settings, final, gold),
        }


def _settings(kind: str) -> Params:
    settings = params.load()
    adapter = settings.adapter.model_copy(update={"kind": kind})
    rate = settings.optimizer.learning_rate * (FULL_RATE if kind == "full" else 1)
    optimizer = settings.optimizer.model_copy(update={"learning_rate": rate})
    changes = {"task": TASK, "adapter": adapter, "optimizer": optimizer}
    return settings.model_copy(update=changes)


def _train(settings: Params, folder: Path, articles: int) -> dict[str, PhaseResult]:
    """Run every phase from the adapter before it into `folder`."""
    student = DATA / "models" / "student"
    lessons = read_lessons(DATA / "filtered", DATA / "signals").head(articles)
    reading = reading_of(
        DATA / "prompt", settings.distill.student_prompt, settings.label.article_tokens
    )
    groups = load_task(DATA / "tasks" / TASK / "task.yaml").coarse_groups
    return {
        name: run_phase(
            load_model(student, settings.quantization),
            load_tokenizer(student),
            lessons,
            phase,
            reading=reading,
            readout=settings.distill.readout,
            coarse_groups=groups,
            adapter=settings.adapter,
            optimizer=settings.optimizer,
            start=folder / phase.init_from,
            out=folder / name,
            seed=settings.seed,
        )
        for name, phase in settings.distill.phases.items()
    }


def _accuracy(settings: Params, adapter: Path, size: int) -> dict[str, Any]:
    task = DATA / "tasks" / TASK
    names = load_task(task / "task.yaml").label_names
    examples = load_examples(task / "gold.jsonl", names)
    table = with_texts(examples, DATA / "clean", settings.clean.max_characters)
    table = table.sample(min(size, table.height), seed=settings.seed)
    labels = np.array([names.index(label) for label in table["label"]])
    student = load_student(DATA / "models" / "student", adapter, settings.quantization)
    texts = table["text"].to_list()
    found = student_probabilities(student, texts, settings.label.batch_size)
    return {"accuracy": round(accuracy(labels, found), 4), "n": len(labels)}


if __name__ == "__main__":
    typer.run(main)
