"""All phases of a student outside DVC, from what the stages before have written."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from akd.corpus.examples import with_texts
from akd.distill.curriculum import goal_of
from akd.distill.lessons import Lessons
from akd.distill.live_teacher import teacher_for
from akd.distill.phase import PhaseResult, run_phase, save_student
from akd.distill.pupil import Pupil
from akd.distill.recipe import Recipe
from akd.distill.sampling import split
from akd.errors import InputError
from akd.evaluate.metrics import Floats, Ints
from akd.evaluate.predict import load_student, student_probabilities
from akd.models import adapters
from akd.models.load import load_model, load_tokenizer
from akd.params import Params
from akd.prompts.reading import Reading, reading_of
from akd.task import load_examples, load_task
from akd.teacher.folder import read_manifest

DATA = Path("data")
STUDENT = DATA / "models" / "student"
TEACHER = DATA / "models" / "teacher"
PAPER_RATE = 2e-4  # of adapters (Saxena et al. 2025)
FULL_RATE = 2e-5  # of full fine-tuning: at the rate of an adapter all weights forget much


def run_phases(settings: Params, lessons: Lessons, folder: Path) -> dict[str, PhaseResult]:
    """Teach a student through every phase of the settings; adapters go into `folder`."""
    adapters.write_empty(folder / "student")
    reading = read_as(settings)
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


def check_signals(task: str) -> None:
    """See that the signals in the workspace are of this task.

    Raises:
        InputError: if the last `dvc repro` was of another one.
    """
    labels = load_task(DATA / "tasks" / task / "task.yaml").label_names
    if read_manifest(DATA / "signals").labels != labels:
        raise InputError(f"the signals in {DATA} are not of {task}: dvc exp run -S task={task}")


def untaught_pupil(settings: Params, texts: list[str]) -> Pupil:
    """Return the student with an adapter that has learnt nothing."""
    model = load_model(STUDENT, settings.quantization)
    with TemporaryDirectory() as empty:
        adapters.write_empty(Path(empty))
        adapted = adapters.attach(model, settings.adapter, Path(empty), train=True)
    return Pupil(adapted, load_tokenizer(STUDENT), read_as(settings), texts)


def untaught(settings: Params, lessons: Lessons, folder: Path) -> None:
    """Write the student that has learnt nothing but the closed-form readout as the final one."""
    pupil = untaught_pupil(settings, lessons.table["text"].to_list())
    rows = split(lessons.table, settings.distill.sampling, settings.seed).taught
    pupil.fit_reading(goal_of(lessons.table, rows, None, settings.distill.target_temperature))
    save_student(pupil, pupil.reading, folder / settings.distill.final)


def read_as(settings: Params) -> Reading:
    """Return how the student reads an article."""
    distill, label = settings.distill, settings.label
    return reading_of(DATA / "prompt", distill.student_prompt, label.article_tokens)


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
