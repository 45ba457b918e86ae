"""All phases of a student outside DVC, from what the stages before have written."""

from pathlib import Path
from typing import cast

import numpy as np
import polars as pl

from akd.corpus.examples import with_texts
from akd.distill.curriculum import goal_of
from akd.distill.lessons import Lessons
from akd.distill.live_teacher import teacher_for
from akd.distill.phase import PhaseResult, run_phase
from akd.distill.pupil import Pupil
from akd.distill.recipe import Recipe
from akd.errors import InputError
from akd.evaluate.metrics import Floats, Ints
from akd.evaluate.predict import load_student, student_probabilities
from akd.models import adapters
from akd.models.load import load_model, load_tokenizer
from akd.models.student import Readout, save_readout
from akd.params import Params
from akd.prompts.reading import reading_of, save_reading
from akd.task import load_examples, load_task
from akd.teacher.folder import read_manifest

DATA = Path("data")
STUDENT = DATA / "models" / "student"
TEACHER = DATA / "models" / "teacher"
FULL_RATE = 2e-5  # of full fine-tuning: at the rate of an adapter all weights forget much


def run_phases(settings: Params, lessons: Lessons, folder: Path) -> dict[str, PhaseResult]:
    """Teach a student through every phase of the settings; adapters go into `folder`."""
    adapters.write_empty(folder / "student")
    reading = reading_of(
        DATA / "prompt", settings.distill.student_prompt, settings.label.article_tokens
    )
    task = load_task(DATA / "tasks" / settings.task / "task.yaml")
    return {
        name: run_phase(
            load_model(STUDENT, settings.quantization),
            load_tokenizer(STUDENT),
            lessons,
            recipe_of(settings, name),
            reading=reading,
            coarse_groups=task.coarse_groups,
            reason_cue=task.reason_cue,
            teacher=teacher_for(phase, TEACHER, DATA / "signals", DATA / "prompt", settings.label),
            start=folder / phase.init_from,
            out=folder / name,
            checkpoints=folder / "checkpoints",
        )
        for name, phase in settings.distill.phases.items()
    }


def signals_of(task: str) -> None:
    """See that the signals in the workspace are of this task.

    Raises:
        InputError: if the last `dvc repro` was of another one.
    """
    labels = load_task(DATA / "tasks" / task / "task.yaml").label_names
    if read_manifest(DATA / "signals").labels != labels:
        raise InputError(f"the signals in {DATA} are not of {task}: dvc exp run -S task={task}")


def untaught(settings: Params, lessons: Lessons, folder: Path) -> None:
    """Write the student that has learnt nothing but the closed-form readout as the final one."""
    adapters.write_empty(folder / "student")
    reading = reading_of(
        DATA / "prompt", settings.distill.student_prompt, settings.label.article_tokens
    )
    start, final = folder / "student", folder / settings.distill.final
    model = load_model(STUDENT, settings.quantization)
    adapted = adapters.attach(model, settings.adapter, start, train=True)
    pupil = Pupil(adapted, load_tokenizer(STUDENT), reading, lessons.table["text"].to_list())
    goal = goal_of(lessons.table, None, settings.distill.target_temperature)
    pupil.begin_reading(start, goal.probabilities)
    adapters.save(adapted, final)
    save_readout(cast(Readout, pupil.readout), final)
    save_reading(reading, final)


def recipe_of(settings: Params, phase: str) -> Recipe:
    """Return how the phase of this name learns."""
    spec, distill = settings.distill.phases[phase], settings.distill
    return Recipe(spec, distill, settings.adapter, settings.optimizer, settings.seed)


def taught_probabilities(settings: Params, folder: Path, texts: list[str]) -> Floats:
    """Return what the student of the final phase says of the texts (n, labels)."""
    final = folder / settings.distill.final
    student = load_student(STUDENT, final, settings.quantization)
    return student_probabilities(student, texts, settings.label.batch_size)


def gold_of(settings: Params) -> tuple[pl.DataFrame, Ints]:
    """Return the gold articles of the task with their texts, and their label numbers (n,)."""
    task = DATA / "tasks" / settings.task
    names = load_task(task / "task.yaml").label_names
    table = with_texts(
        load_examples(task / "gold.jsonl", names), DATA / "clean", settings.clean.max_characters
    )
    return table, np.array([names.index(label) for label in table["label"]])
