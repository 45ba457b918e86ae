"""distill: one phase of distillation from stored signals; only the loss minillm loads a teacher."""

from typing import Annotated, Any

import typer
from accelerate import PartialState

from akd import console, params
from akd.console import PathOption
from akd.distill.lessons import lessons_for
from akd.distill.live_teacher import teacher_for
from akd.distill.phase import run_phase, summary
from akd.distill.processes import check_launch
from akd.distill.progress import checkpoints_folder
from akd.distill.recipe import Recipe
from akd.io import write_csv, write_json
from akd.models.load import compute_dtype, load_model, load_tokenizer
from akd.prompts.reading import reading_of
from akd.task import load_task

_DECIDES: dict[str, Any] = {
    **dict.fromkeys(("seed", "adapter", "quantization", "optimizer", "distill"), True),
    "label": {"article_tokens": True, "engine": {"kind", "quantization"}},
}


def main(
    phase: Annotated[str, typer.Option()],
    task: PathOption, filtered: PathOption, signals: PathOption, prompt: PathOption,
    student: PathOption, teacher: PathOption, start: PathOption, out: PathOption,
    metrics: PathOption, plot: PathOption, domains: PathOption,
) -> None:  # fmt: skip
    """Train the named phase from the adapter in `start`."""
    settings, goal = params.load(), load_task(task)
    check_launch(settings.optimizer.batch_size)
    spec = settings.distill.phases[phase]
    result = run_phase(
        load_model(student, settings.quantization),
        load_tokenizer(student),
        lessons_for(spec, filtered, signals, goal.label_names),
        Recipe(spec, settings.distill, settings.adapter, settings.optimizer, settings.seed),
        reading=reading_of(prompt, settings.distill.student_prompt, settings.label.article_tokens),
        coarse_groups=goal.coarse_groups,
        reason_cue=goal.reason_cue,
        teacher=teacher_for(spec, teacher, signals, prompt, settings.label),
        start=start,
        out=out,
        checkpoints=checkpoints_folder(
            {
                "dtype": str(compute_dtype()),
                "processes": PartialState().num_processes,
                **settings.model_dump(mode="json", include=_DECIDES),
                "phase": spec.model_dump(mode="json"),
                "task": [goal.coarse_groups, goal.reason_cue],
            },
            [filtered, signals, prompt, student, start],
        ),
    )
    if PartialState().is_main_process:
        write_json(metrics, summary(result))
        write_csv(plot, result.curve)
        write_csv(domains, result.domains)


if __name__ == "__main__":
    console.run(main)
