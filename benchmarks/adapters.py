"""Each kind of adapter: trainable share, size, peak memory, speed and accuracy on bbc-topics.

Takes signals, articles and models of the last `dvc repro` with `task=bbc-topics`. Each kind is
trained in a process of its own, whose peak memory is its own, through all phases of params.yaml.
`documents_per_second` is of the median step, `job_documents_per_second` counts all that the phases
do, loading and the passes over all articles too; both are of the first seed. The interval of the
accuracy is over gold articles, the runs beside it are the seeds.

    python -m benchmarks.adapters --seeds 3

`readout` is the student that every kind begins with: its closed-form readout alone. The kinds of
params.yaml's rate are lora, dora and series; the others have rates of their own (RATES), which
nobody has tuned here. `full` trains all blocks, and the virtual tokens of `prompt` and `prefix` are
seen by all; the others sit where params.yaml puts them (`frozen_share`). `bitfit` has nothing to
train on a student without biases, and is then reported as refused.
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
from akd.console import guard
from akd.distill.lessons import Lessons, read_lessons
from akd.errors import InputError
from akd.evaluate.resources import folder_mb, peak_gib
from akd.io import read_json, write_json
from akd.params import Params
from akd.specs.adapters import Adapter
from benchmarks.clone import commit, write_result
from benchmarks.meter import Meter
from benchmarks.phases import (
    DATA,
    FULL_RATE,
    check_signals,
    gold_of,
    run_phases,
    taught_probabilities,
    untaught,
)
from benchmarks.repeated import over_runs_and_articles

TASK = "bbc-topics"
READOUT = "readout"
KINDS = get_args(Adapter.model_fields["kind"].annotation)
EVERYWHERE = ("full", "prompt", "prefix")
RATES = {
    "ia3": 3e-3,  # Liu et al. 2022, section 3.3
    "bitfit": 1e-3,  # of those that Ben Zaken et al. 2022 tried the middle
    "prompt": 3e-2,  # as in the examples of PEFT, for this and the next
    "prefix": 1e-2,
    "full": FULL_RATE,
}


def main(
    seeds: Annotated[int, typer.Option(help="Runs of each kind.")] = 3,
    articles: Annotated[int, typer.Option(help="Lessons, at most.")] = 500,
    kind: Annotated[str, typer.Option(help="One kind alone, written to --out.")] = "",
    out: Annotated[Path, typer.Option(help="Where --kind writes.")] = Path("adapter.json"),
) -> None:
    """Write benchmarks/results/adapters.json."""
    if kind:
        write_json(out, _one(kind, seeds, articles))
        return
    check_signals(TASK)
    rows: dict[str, Any] = {}
    limits = ["--seeds", str(seeds), "--articles", str(articles)]
    line = ["python", "-m", "benchmarks.adapters", *limits]
    for name in (READOUT, *KINDS):
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "row.json"
            own = ["--kind", name, "--out", str(file)]
            subprocess.run([sys.executable, *line[1:], *own], check=True)
            rows[name] = read_json(file)
        result = {"task": TASK, "commit": commit(), "kinds": rows}
        write_result("adapters", " ".join(line), result)


def _one(kind: str, seeds: int, articles: int) -> dict[str, Any]:
    """Train one kind through all phases, once for each seed; return its figures."""
    table = read_lessons(DATA / "filtered", DATA / "signals").head(articles)
    lessons, settings = Lessons(table, states=None, rationales=None), _settings(kind)
    row: dict[str, Any] = {}
    right = []
    gold, labels = gold_of(settings)
    for number in range(seeds):
        seeded = settings.model_copy(update={"seed": settings.seed + number})
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            try:
                costs = _taught(kind, seeded, lessons, folder)
            except InputError as error:
                return {"refused": str(error), "seed": seeded.seed}
            row = row or costs
            found = taught_probabilities(seeded, folder, gold["text"].to_list())
        right.append(found.argmax(axis=1) == labels)
    return {
        **row,
        "n": len(labels),
        "accuracy": over_runs_and_articles(np.stack(right) * 1.0, settings),
    }


def _taught(kind: str, settings: Params, lessons: Lessons, folder: Path) -> dict[str, Any]:
    """Train one adapter into the folder; return what that cost."""
    final, meter, begun = folder / settings.distill.final, Meter(), time.perf_counter()
    if kind == READOUT:
        untaught(settings, lessons, folder)
        return {"adapter_mb": folder_mb(final), "peak_gib": peak_gib()}
    results = run_phases(settings, lessons, folder)
    seconds = time.perf_counter() - begun
    steps, last = sum(result.steps for result in results.values()), results[settings.distill.final]
    batch = settings.optimizer.batch_size
    return {
        "frozen_share": settings.adapter.frozen_share,
        "learning_rate": settings.optimizer.learning_rate,
        "trainable_parameters": last.trainable,
        "trainable_share": round(last.trainable / last.parameters, 6),
        "adapter_mb": folder_mb(final),
        "peak_gib": peak_gib(),
        "documents_per_second": round(meter.median_rate(batch), 2),
        "job_documents_per_second": round(steps * batch / seconds, 2),
        "last_loss": round(last.curve["loss"][-1], 4),
    }


def _settings(kind: str) -> Params:
    settings = params.load()
    if kind == READOUT:
        return settings
    values = settings.model_dump()
    values["adapter"]["kind"] = kind
    if kind in EVERYWHERE:
        values["adapter"]["frozen_share"] = 0.0
    if kind in RATES:
        values["optimizer"]["learning_rate"] = RATES[kind]
    return Params.model_validate(values)


if __name__ == "__main__":
    guard(lambda: typer.run(main))
