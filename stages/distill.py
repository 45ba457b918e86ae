"""distill: one phase of distillation from stored signals; no teacher is loaded."""

from typing import Annotated

import polars as pl
import typer

from akd import console, params
from akd.console import PathOption
from akd.distill.phase import read_lessons, run_phase, summary
from akd.io import write_csv, write_json
from akd.models.load import load_model, load_tokenizer
from akd.prompts.reading import reading_of
from akd.task import load_task


def main(
    phase: Annotated[str, typer.Option()],
    task: PathOption, filtered: PathOption, signals: PathOption, prompt: PathOption,
    student: PathOption, start: PathOption, out: PathOption, metrics: PathOption, plot: PathOption,
) -> None:  # fmt: skip
    """Train the named phase from the adapter in `start`."""
    settings = params.load()
    result = run_phase(
        load_model(student, settings.quantization),
        load_tokenizer(student),
        read_lessons(filtered, signals),
        settings.distill.phases[phase],
        reading=reading_of(prompt, settings.distill.student_prompt, settings.label.article_tokens),
        readout=settings.distill.readout,
        coarse_groups=load_task(task).coarse_groups,
        adapter=settings.adapter,
        optimizer=settings.optimizer,
        start=start,
        out=out,
        seed=settings.seed,
    )
    write_json(metrics, summary(result))
    write_csv(plot, pl.DataFrame(result.curve))


if __name__ == "__main__":
    console.run(main)
