"""A phase of the project, with its steps timed, in a process of its own; see `benchmarks.step`.

The whole phase is run: fitting the readout, measuring the domains and writing checkpoints count to
its memory, and to the time of its steps what of them falls between two. The rate of the phase
counts all of it: the passes over all articles before the first step, too.
"""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import typer
from torch import nn

from akd import params
from akd.distill.lessons import Lessons, read_lessons
from akd.distill.phase import run_phase
from akd.io import write_json
from akd.models import adapters
from akd.models.load import load_model, load_tokenizer
from akd.models.student import load_readout, parameters_of
from akd.task import load_task
from benchmarks.meter import Meter
from benchmarks.phases import DATA, STUDENT, read_as, recipe_of


def main(
    out: Path,
    batches: Annotated[Path, typer.Option(help="Where the tokens of each step go.")],
    articles: Annotated[int, typer.Option()],
    frozen_share: Annotated[float, typer.Option()],
    frozen_cache_gib: Annotated[float, typer.Option()],
) -> None:
    """Run the final phase from an empty adapter; write its figures."""
    settings = params.load()
    recipe = recipe_of(settings, settings.distill.final)
    adapter = recipe.adapter.model_copy(update={"frozen_share": frozen_share})
    cached = recipe.settings.model_copy(update={"frozen_cache_gib": frozen_cache_gib})
    task = load_task(DATA / "tasks" / settings.task / "task.yaml")
    lessons = read_lessons(DATA / "filtered", DATA / "signals").head(articles)
    tokenizer, model = load_tokenizer(STUDENT), load_model(STUDENT, settings.quantization)
    seen: list[list[list[int]]] = []

    def keep(_module: nn.Module, inputs: Any) -> None:
        if torch.is_grad_enabled():
            seen.append([_without(int(tokenizer.pad_token_id), row) for row in inputs[0].tolist()])

    model.base_model.register_forward_pre_hook(keep)
    meter, begun = Meter(model), time.perf_counter()
    with TemporaryDirectory() as scratch:
        adapters.write_empty(Path(scratch) / "student")
        result = run_phase(
            model,
            tokenizer,
            Lessons(lessons, states=None, rationales=None),
            replace(recipe, adapter=adapter, settings=cached),
            reading=read_as(settings),
            coarse_groups=task.coarse_groups,
            reason_cue=task.reason_cue,
            start=Path(scratch) / "student",
            out=Path(scratch) / "adapter",
            checkpoints=Path(scratch) / "checkpoints",
        )
        seconds = time.perf_counter() - begun
        readout = parameters_of(load_readout(Path(scratch) / "adapter"))  # the others have none
    figures = meter.figures(settings.optimizer.batch_size)
    figures["phase_documents_per_second"] = sum(map(len, seen)) / seconds
    trainable = result.trainable - readout
    write_json(out, {**figures, "trainable_parameters": trainable})
    write_json(batches, seen)


def _without(pad: int, row: list[int]) -> list[int]:
    while row[-1] == pad:
        row.pop()
    return row


if __name__ == "__main__":
    typer.run(main)
