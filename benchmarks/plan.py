"""What `akd plan` foretells for every pair and method, and training in NF4 that is measured.

    python -m benchmarks.plan                          # the largest LLaMA within 20 GiB
    python -m benchmarks.plan --gib 0.3 --width 512    # a small one
    python -m benchmarks.plan --table docs/table3.md   # table 3 of the paper beside ours
    python -m benchmarks.plan --inventories            # after a change of akd/planning/configs.yaml

What is measured is the largest resident set of a process that takes two steps, minus a baseline:
that of a process that takes them with one layer of width 128, less what is foretold for that.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from akd.params import load
from akd.planning.inventory import measure
from akd.planning.lookup import inventories_of, write_shipped_inventories
from akd.planning.memory import Footprint, footprint
from akd.planning.plan import PROMPT_TOKENS
from benchmarks.clone import ROOT, write_result
from benchmarks.nf4_step import adapter_of, config_of
from benchmarks.table3 import write_page

_SMALL = 128  # width of the model that every process is measured against
_REPEATS = 5
_PLAN_AND_TELL = """
import sys
from akd.cli.app import app
sys.argv = ["akd", "plan", "--pair", "llama2", "--json"]
app(standalone_mode=False)
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


def main(
    gib: Annotated[float, typer.Option(help="Of the step; the libraries take 0.7 more.")] = 18.8,
    width: Annotated[int, typer.Option(help="Of the model, a multiple of 128.")] = 6656,
    batch: int = 1,
    length: int = 64,
    table: Annotated[Path | None, typer.Option(help="Write this page alone.")] = None,
    inventories: Annotated[bool, typer.Option("--inventories", help="Count anew alone.")] = False,
) -> None:
    """Write benchmarks/results/plan.json, or only what an option names."""
    if inventories:
        write_shipped_inventories()
    elif table is not None:
        write_page(table)
    else:
        seconds, peak = _own_cost()
        result = {
            "plan_s": seconds,
            "plan_peak_mb": peak,
            "plan_n": _REPEATS,
            "predicted_gb": _predictions(),
            "measured": _measured(gib, width, batch, length),
        }
        command = f"python -m benchmarks.plan --gib {gib} --width {width}"
        write_result("plan", f"{command} --batch {batch} --length {length}", result)


def _own_cost() -> tuple[float, float]:
    """Return the median time of `akd plan` for 13B to 7B in s, and its largest memory in MB."""
    times, peaks = [], []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        peaks.append(int(_run(["-c", _PLAN_AND_TELL]).splitlines()[-1]) * 1024 / 1e6)
        times.append(time.perf_counter() - start)
    return round(statistics.median(times), 2), round(max(peaks), 1)


def _predictions() -> dict[str, dict[str, float]]:
    """Return GB for each pair and method, with rank and batch of params.yaml."""
    settings = load()
    length = settings.label.article_tokens + PROMPT_TOKENS[settings.distill.student_prompt]
    batch = settings.optimizer.batch_size
    found: dict[str, dict[str, float]] = {}
    for name, pair in settings.pairs.items():
        _, student = inventories_of(name, pair, ROOT / "data" / "models", ROOT / "dvc.lock")
        lora = adapter_of(settings.adapter)
        full = lora.model_copy(update={"kind": "full"})
        methods = {"lora": (lora, False), "qlora": (lora, True), "full": (full, False)}
        found[name] = {
            method: _gb(
                footprint(
                    student, adapter, quantised=nf4, dtype="bfloat16", length=length, batch=batch
                )
            )
            for method, (adapter, nf4) in methods.items()
        }
    return found


def _measured(gib: float, width: int, batch: int, length: int) -> dict[str, Any]:
    """Return prediction and measurement of the deepest model whose step fits into `gib`."""
    small = _predicted(_SMALL, 1, batch, length)
    one, two = (_predicted(width, layers, batch, length).total for layers in (1, 2))
    layers = int(1 + (gib * 2**30 - one) // (two - one))
    if layers < 1:
        raise typer.BadParameter(
            f"one layer of width {width} needs {one / 2**30:.2f} GiB", param_hint="--gib"
        )
    needs = _predicted(width, layers, batch, length)
    baseline = _step(_SMALL, 1, batch, length) - small.total
    start = time.perf_counter()
    peak = _step(width, layers, batch, length)
    parameters = measure(config_of(width, layers)).parameters
    return {
        "method": "qlora",
        "model": f"LLaMA, width {width}, {layers} layers, random",
        "parameters": parameters,
        "trainable": needs.trainable,
        "batch": batch,
        "length": length,
        "predicted_gb": _gb(needs),
        "measured_gb": round((peak - baseline) / 1e9, 3),
        "ratio": round((peak - baseline) / needs.total, 4),
        "process_peak_gib": round(peak / 2**30, 3),
        "baseline_gib": round(baseline / 2**30, 3),
        "process_s": round(time.perf_counter() - start, 1),
    }


def _predicted(width: int, layers: int, batch: int, length: int) -> Footprint:
    inventory = measure(config_of(width, layers))
    adapter = adapter_of(load().adapter)
    return footprint(
        inventory, adapter, quantised=True, dtype="bfloat16", length=length, batch=batch
    )


def _step(width: int, layers: int, batch: int, length: int) -> int:
    """Return the largest memory in bytes of a process that takes two steps."""
    sizes = {"width": width, "layers": layers, "batch": batch, "length": length}
    options = [part for name, size in sizes.items() for part in (f"--{name}", str(size))]
    printed = _run(["-m", "benchmarks.nf4_step", *options])
    return int(json.loads(printed.splitlines()[-1])["peak"])


def _run(arguments: Sequence[str]) -> str:
    """Run Python in the project and return what it prints.

    What the C library frees goes back to the system at once: else pieces of it stay with the
    process, and what is measured is its allocator.
    """
    limits = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, *arguments]
    environment = {**os.environ, **limits}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def _gb(needs: Footprint) -> float:
    return round(needs.total / 1e9, 3)


if __name__ == "__main__":
    typer.run(main)
