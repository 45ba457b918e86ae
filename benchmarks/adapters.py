"""Each kind of adapter: trainable share, size, peak memory, speed and accuracy on bbc-topics.

Takes signals, articles and models of the last `dvc repro` with `task=bbc-topics`. Each kind is
trained in a process of its own, whose peak memory is its own, through all phases of params.yaml.
The documents per second count the loading of the student and the fitting of its readout in.

    python -m benchmarks.adapters

`full` has a learning rate of its own: at that of an adapter it forgets what it knows. It trains all
blocks, and the virtual tokens of `prompt` and `prefix` are seen by all; the others sit where
params.yaml puts them (`frozen_share`).
`bitfit` has nothing to train on a student without biases, and is then reported as refused.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import typer

from akd import params
from akd.distill.lessons import Lessons, read_lessons
from akd.errors import InputError
from akd.evaluate.metrics import accuracy
from akd.evaluate.resources import folder_mb, peak_gib
from akd.io import read_json, write_json
from akd.params import Params
from akd.specs.adapters import Adapter
from benchmarks.clone import write_result
from benchmarks.phases import (
    DATA,
    FULL_RATE,
    check_signals,
    gold_of,
    run_phases,
    taught_probabilities,
)

TASK = "bbc-topics"
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
    check_signals(TASK)
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in KINDS:
            file = Path(scratch) / f"{name}.json"
            own = ["--kind", name, "--out", str(file)]
            limits = ["--articles", str(articles), "--gold", str(gold)]
            command = [sys.executable, "-m", "benchmarks.adapters", *own, *limits]
            subprocess.run(command, check=True)
            rows[name] = read_json(file)
            line = f"python -m benchmarks.adapters --articles {articles} --gold {gold}"
            write_result("adapters", line, {"task": TASK, "kinds": rows})


def _one(kind: str, articles: int, gold: int) -> dict[str, Any]:
    """Train one adapter through all phases; return its figures."""
    settings = _settings(kind)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        lessons = read_lessons(DATA / "filtered", DATA / "signals").head(articles)
        try:
            start = time.perf_counter()
            results = run_phases(settings, Lessons(lessons, states=None, rationales=None), folder)
            seconds = time.perf_counter() - start
        except InputError as error:
            return {"refused": str(error)}
        steps = sum(result.steps for result in results.values())
        last = results[settings.distill.final]
        return {
            "seed": settings.seed,
            "frozen_share": settings.adapter.frozen_share,
            "learning_rate": settings.optimizer.learning_rate,
            "trainable_parameters": last.trainable,
            "trainable_share": round(last.trainable / last.parameters, 6),
            "adapter_mb": folder_mb(folder / settings.distill.final),
            "peak_gib": peak_gib(),  # before the gold articles are read
            "documents_per_second": round(steps * settings.optimizer.batch_size / seconds, 2),
            "last_loss": round(last.curve["loss"][-1], 4),
            **_accuracy(settings, folder, gold),
        }


def _settings(kind: str) -> Params:
    settings = params.load()
    frozen = 0.0 if kind == "full" else settings.adapter.frozen_share
    adapter = settings.adapter.model_copy(update={"kind": kind, "frozen_share": frozen})
    rate = FULL_RATE if kind == "full" else settings.optimizer.learning_rate
    optimizer = settings.optimizer.model_copy(update={"learning_rate": rate})
    changes = {"task": TASK, "adapter": adapter, "optimizer": optimizer}
    return settings.model_copy(update=changes)


def _accuracy(settings: Params, folder: Path, size: int) -> dict[str, Any]:
    table, labels = gold_of(settings)
    rows = np.random.default_rng(settings.seed).permutation(len(labels))[:size]
    found = taught_probabilities(settings, folder, table["text"].gather(rows).to_list())
    return {"accuracy": round(accuracy(labels[rows], found), 4), "n": len(rows)}


if __name__ == "__main__":
    typer.run(main)
