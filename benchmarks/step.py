"""One optimisation step of the default phase beside two ways that run the teacher with the student.

Takes signals, articles and models of the last `dvc repro`. `live` is a plain loop over the whole
vocabulary at every position, `live_classes` the same over the label words at the last one, as akd
compares classes; `trl` is the GKDTrainer of TRL on a fixed data set, which knows no classes. Each
way trains the same adapter on the same tokens in the same batches and dtype, in a process of its
own, whose memory is its own.

    python -m benchmarks.step

For the other ways the comparison is a favourable one:

- Their teacher reads the tokens that the student reads. Who runs it in each step would have it read
  its prompt too: the instruction, and what is shown of the shots.
- The phase of akd is run whole, see `benchmarks.step_akd`; the time of the others is that of bare
  steps. Labelling, which akd does once for all phases and experiments, is in neither.
- Weights are not counted as memory of a step: those of the teacher, which a phase never loads,
  are left out as well.

No way has adapters in the blocks of `adapter.frozen_share`, nor differentiates anything there.
`frozen_gain` is what that brings to akd: documents per second over those of the same phase
with adapters in all blocks. `cache_gain` is what it brings besides to compute these blocks once,
before the first step (`distill.frozen_cache_gib`). `phase_ratio_live_teacher` counts all that a
phase does, the passes before its first step too, against the bare steps of the loop.
"""

import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from akd import params
from akd.io import read_json, write_json
from akd.models.architecture import transformer_blocks
from akd.models.load import compute_dtype, load_model
from akd.models.placement import chosen_linears
from benchmarks.clone import write_result
from benchmarks.environments import environment, run_quietly
from benchmarks.phases import DATA, STUDENT

TRL = "trl==1.16.0"
SHARED = ("torch", "transformers", "peft", "accelerate", "datasets")
EVERYWHERE = "akd_in_all_blocks"
UNCACHED = "akd_without_cache"


def main(
    articles: Annotated[
        int, typer.Option(help="Lessons; a phase of 26 steps or more has DDK measure in it.")
    ] = 720,
    steps: Annotated[int, typer.Option(help="Of each other way, the first is not timed.")] = 6,
    trl_python: Annotated[
        Path | None, typer.Option(help="Of an environment with TRL; one is made without it.")
    ] = None,
) -> None:
    """Write benchmarks/results/step.json."""
    python = trl_python or environment("trl", (TRL, *(_installed(name) for name in SHARED)))
    with tempfile.TemporaryDirectory() as scratch:
        ways = _ways(Path(scratch), python, articles, steps)
    akd, live = ways["akd"], ways["live"]
    rate, peak = "documents_per_second", "peak_gib_above_model"
    result = {
        "step_ratio_live_teacher": round(akd[rate] / live[rate], 2),
        "memory_ratio_live_teacher": round(akd[peak] / live[peak], 3),
        "step_ratio_live_classes": round(akd[rate] / ways["live_classes"][rate], 2),
        "memory_ratio_live_classes": round(akd[peak] / ways["live_classes"][peak], 3),
        "step_ratio_trl": round(akd[rate] / ways["trl"][rate], 2),
        "memory_ratio_trl": round(akd[peak] / ways["trl"][peak], 3),
        "phase_ratio_live_teacher": round(akd[f"phase_{rate}"] / live[rate], 2),
        "frozen_gain": round(ways[UNCACHED][rate] / ways[EVERYWHERE][rate], 3),
        "cache_gain": round(akd[rate] / ways[UNCACHED][rate], 3),
        "ways": {
            name: {key: round(value, 3) for key, value in found.items()}
            for name, found in ways.items()
        },
        "trl": TRL,
        "n": 1,
    }
    write_result("step", f"python -m benchmarks.step --articles {articles} --steps {steps}", result)


def _installed(name: str) -> str:
    return f"{name}=={version(name).partition('+')[0]}"


def _ways(scratch: Path, python: Path, articles: int, steps: int) -> dict[str, dict[str, float]]:
    """Run each way after the other; return the figures of each."""
    batches = scratch / "batches.json"

    def run(name: str, command: Sequence[object]) -> dict[str, float]:
        print(f"{name} ...", flush=True)
        run_quietly([str(part) for part in command], {"HF_HUB_OFFLINE": "1"})
        found: dict[str, float] = read_json(scratch / f"{name}.json")
        return found

    def own(name: str, module: str, *flags: str, **options: float) -> dict[str, float]:
        given = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
        command = [sys.executable, "-m", f"benchmarks.{module}", scratch / f"{name}.json"]
        return run(name, [*command, "--batches", batches, *flags, *given])

    settings = params.load()
    share, gib = settings.adapter.frozen_share, settings.distill.frozen_cache_gib
    ways = {
        name: own(name, "step_akd", articles=articles, frozen_share=frozen, frozen_cache_gib=kept)
        for name, frozen, kept in ((EVERYWHERE, 0, 0), (UNCACHED, share, 0), ("akd", share, gib))
    }
    ways["live"] = own("live", "step_live", steps=steps)
    ways["live_classes"] = own("live_classes", "step_live", "--classes", steps=steps)
    write_json(scratch / "given.json", _given(read_json(batches)[:steps]))
    command = [python, "-m", "benchmarks.step_trl", scratch / "given.json", scratch / "trl.json"]
    ways["trl"] = run("trl", command)
    for name in ("live", "live_classes", "trl"):
        if ways[name]["trainable_parameters"] != ways["akd"]["trainable_parameters"]:
            raise SystemExit(f"the adapters of akd and {name} are not of one size: {ways}")
    for found in ways.values():
        found["tokens_per_document"] = _tokens(batches, int(found["timed_steps"]))
    return ways


def _given(batches: list[list[list[int]]]) -> dict[str, Any]:
    """Return what the process of TRL needs to know, which reads no params.yaml."""
    settings = params.load()
    adapter, optimizer = settings.adapter, settings.optimizer
    student = load_model(STUDENT, settings.quantization)
    first = adapter.first_block(len(transformer_blocks(student)))
    return {
        "teacher": str(DATA / "models" / "teacher"),
        "student": str(STUDENT),
        "dtype": str(compute_dtype()).removeprefix("torch."),
        "batch_size": optimizer.batch_size,
        "batches": batches,
        "lora": {
            "r": adapter.r,
            "lora_alpha": adapter.alpha,
            "lora_dropout": adapter.dropout,
            "target_modules": chosen_linears(student, adapter.targets, first),
        },
        "optimizer": {
            "learning_rate": optimizer.learning_rate,
            "weight_decay": optimizer.weight_decay,
            "max_grad_norm": optimizer.max_gradient_norm,
        },
    }


def _tokens(batches: Path, timed_steps: int) -> float:
    """Return the mean tokens of a document in the timed steps."""
    timed = read_json(batches)[1 : timed_steps + 1]
    return float(np.mean([len(row) for batch in timed for row in batch]))


if __name__ == "__main__":
    typer.run(main)
