"""What the losses of a phase need: learner, rows, terms, and what completes a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from accelerate import PartialState
from datasets import Dataset
from torch import nn

from akd.console import say
from akd.distill.curriculum import Goal
from akd.distill.data import dataset_of
from akd.distill.filtering import Filters, matched_layers, stage_one
from akd.distill.frozen import Learner
from akd.distill.lessons import Lessons, TeacherBlocks
from akd.distill.live_teacher import LiveTeacher
from akd.distill.losses.hidden import FEWEST_FOR_GRAM
from akd.distill.objective import objective
from akd.distill.pupil import Pupil
from akd.distill.reasons import Reason
from akd.distill.recipe import Recipe
from akd.distill.rollouts import Rollouts
from akd.distill.trainer import Complete, Term, as_it_is
from akd.errors import InputError
from akd.specs.distillation import CLASS_LOSSES, WORD_LOSSES


@dataclass(frozen=True)
class Preparation:
    """What `akd.distill.trainer.train` is given; see there."""

    student: nn.Module
    dataset: Dataset
    terms: dict[str, Term]
    complete: Complete


def prepare(
    pupil: Pupil,
    lessons: Lessons,
    recipe: Recipe,
    goal: Goal,
    reasons: Sequence[Reason | None] | None,
    teacher: LiveTeacher | None,
) -> Preparation:
    """Prepare the student, as it is before the phase, for the losses of the phase.

    Args:
        goal: what is learnt of the articles.
        reasons: of some articles, where a loss asks for them.
        teacher: itself, where a loss asks it.

    Raises:
        InputError: if student or teacher do not fit a loss.
    """
    losses, rollouts = recipe.settings.losses, None
    _check_head_is_reached(pupil, recipe)
    _check_articles_can_be_alike(recipe)
    if "minillm" in recipe.phase.losses:
        asked, texts = cast(LiveTeacher, teacher), lessons.table["text"].to_list()
        rollouts = Rollouts(pupil, asked, losses.minillm, texts, recipe.seed)
    filters = _filters(pupil, lessons, recipe, goal)
    terms = objective(
        recipe.phase,
        losses,
        groups=goal.groups,
        states=lambda: (pupil.states()[goal.rows], cast(torch.Tensor, lessons.states)[goal.rows]),
        around=pupil.around(),
        head=pupil.head,
        sampled=lambda: cast(Rollouts, rollouts).loss,
    )
    return Preparation(
        _learner(pupil, filters, recipe),
        dataset_of(
            pupil.sequences,
            goal.targets,
            goal.answers,
            lessons.states,
            reasons,
            None if filters is None else filters.teacher,
        ),
        terms,
        as_it_is if rollouts is None else rollouts.extend,
    )


def _check_head_is_reached(pupil: Pupil, recipe: Recipe) -> None:
    # Losses on words read the head behind the back of what hands out gradients to processes.
    words = recipe.phase.losses.keys() & WORD_LOSSES
    apart = PartialState().num_processes > 1 and pupil.readout is not None
    if apart and words and pupil.head().weight.requires_grad:
        raise InputError(
            f"{' and '.join(sorted(words))} with adapter.kind "
            "full cannot train a pooled student in several processes: launch one, set "
            "`distill.readout: label_words`, or choose another adapter"
        )


def _check_articles_can_be_alike(recipe: Recipe) -> None:
    processes = PartialState().num_processes
    share = recipe.optimizer.batch_size // processes
    compares = "hidden" in recipe.phase.losses and recipe.settings.losses.hidden.kind == "gram"
    if compares and share < FEWEST_FOR_GRAM:
        raise InputError(
            f"the loss hidden of kind gram compares the articles of a batch with one another, and "
            f"learns nothing from {share} in each process: set `optimizer.batch_size` to "
            f"{FEWEST_FOR_GRAM * processes} or more, or `distill.losses.hidden.kind: projection`"
        )


def _filters(pupil: Pupil, lessons: Lessons, recipe: Recipe, goal: Goal) -> Filters | None:
    if "ted" not in recipe.phase.losses:
        return None
    blocks = cast(TeacherBlocks, lessons.blocks)
    lowest = min(matched_layers(blocks, pupil.depth()))
    frozen = recipe.adapter.first_block(pupil.depth())
    if lowest <= frozen:
        say(
            f"ted compares states of block {lowest} of the student, which cannot move, since "
            f"nothing up to block {frozen} learns: lower adapter.frozen_share, or choose deeper "
            "label.states"
        )
    return stage_one(
        pupil,
        blocks,
        torch.from_numpy(goal.told).float(),
        torch.from_numpy(goal.rows),
        recipe.settings.losses.ted,
        temperature=recipe.phase.temperature,
        batch_size=recipe.optimizer.batch_size,
        seed=recipe.seed,
    )


def _learner(pupil: Pupil, filters: Filters | None, recipe: Recipe) -> nn.Module:
    if recipe.optimizer.gradient_checkpointing:
        pupil.base().gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[no-untyped-call]
    if pupil.readout is not None:  # several processes ask for a gradient of all that has one
        pupil.readout.requires_grad_(bool(recipe.phase.losses.keys() & CLASS_LOSSES))
    student: nn.Module = pupil.classifier()
    frozen = recipe.adapter.first_block(pupil.depth())
    if frozen:
        learning = pupil.blocks(range(frozen + 1, pupil.depth() + 1))
        student = Learner(student, learning, pupil.cache)
    student.train()
    return student if filters is None else filters.on(pupil, student)
