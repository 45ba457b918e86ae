"""One phase: from stored signals and the adapter before to the next adapter."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from accelerate import PartialState
from scipy.stats import entropy
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from akd.distill.curriculum import Floats, Goal, Ints, bucket, difficulty, goal_of
from akd.distill.data import collator
from akd.distill.frozen import FrozenCache
from akd.distill.lessons import Lessons
from akd.distill.live_teacher import LiveTeacher
from akd.distill.preparation import prepare
from akd.distill.processes import alone
from akd.distill.progress import Progress, remove_checkpoints
from akd.distill.pupil import Pupil
from akd.distill.reasons import Reason, reasons_of
from akd.distill.recipe import Recipe
from akd.distill.sampling import Split, split
from akd.distill.schedule import Schedule, schedule
from akd.distill.trainer import train
from akd.errors import InputError
from akd.io import replacing
from akd.models import adapters
from akd.models.architecture import transformer_blocks
from akd.models.scoring import context_of
from akd.models.student import parameters_of, save_readout
from akd.models.truncation import check_room
from akd.prompts.reading import Reading, save_reading


@dataclass(frozen=True)
class PhaseResult:
    """Loss curve, log of the domains (empty without DDK), and the sizes of one phase.

    The readout counts as trained.
    """

    curve: pl.DataFrame
    domains: pl.DataFrame
    articles: int
    steps: int
    optimizer: str
    trainable: int
    parameters: int


def run_phase(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    lessons: Lessons,
    recipe: Recipe,
    *,
    reading: Reading,
    coarse_groups: Sequence[int],
    reason_cue: str,
    start: Path,
    out: Path,
    checkpoints: Path,
    teacher: LiveTeacher | None = None,
) -> PhaseResult:
    """Train the adapter found in `start` on the phase's articles; write it to `out`.

    A pooled readout follows the losses through the steps and is then fitted anew, in closed form,
    to the states that the adapter has come to: the last layer retrained (Kirichenko et al. 2023).

    Args:
        coarse_groups: for each label its group in the simpler task.
        reason_cue: stands between a label word and the teacher's reason.
        checkpoints: where an interrupted phase goes on; it is removed when the phase is done.
        teacher: itself, for `minillm`; no other loss asks it.

    Raises:
        InputError: if prompt and article do not fit into the student's context, or the loss is
            no longer finite.
    """
    parts = split(lessons.table, recipe.settings.sampling, recipe.seed)
    groups = coarse_groups if recipe.phase.targets == "coarse" else None
    goal = goal_of(lessons.table, parts.taught, groups, recipe.settings.target_temperature)
    pupil = _begun(model, tokenizer, lessons, recipe, reading, goal, start, checkpoints.parent)
    progress = Progress()
    plan = _plan(pupil, lessons.table, recipe, goal, parts, progress)
    if recipe.settings.own_share > 0:
        goal = goal.shared_with(pupil.first_logits, recipe.settings.own_share)
    reasons = _reasons(pupil, lessons, recipe, reason_cue, plan.rows)
    ready = prepare(pupil, lessons, recipe, goal, reasons, teacher)
    if pupil.cache is not None:
        pupil.cache.seal()
    with alone(checkpoints):
        effective = train(
            ready.student, ready.dataset, ready.terms, plan.sampler, progress,
            complete=ready.complete, ids=lessons.table["id"].to_list(),
            collate=collator(pupil.pad_token), optimizer=recipe.optimizer, seed=recipe.seed,
            checkpoints=checkpoints,
        )  # fmt: skip
        if pupil.readout is not None:
            pupil.fit_reading(goal)  # least squares finds a better one than the steps did
        if PartialState().is_main_process:
            save_student(pupil, reading, out)
            remove_checkpoints(checkpoints)
    return _result(pupil, plan, progress, effective)


def _begun(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    lessons: Lessons,
    recipe: Recipe,
    reading: Reading,
    goal: Goal,
    start: Path,
    scratch: Path,
) -> Pupil:
    """Return the student as it is before the phase."""
    before, after = reading.around(tokenizer)
    virtual = {"adapter.tokens": recipe.adapter.virtual_tokens}
    check_room(before, reading.text_tokens, after, context_of(model.config), virtual)
    set_seed(recipe.seed)  # a new adapter draws its weights, before the Trainer sets any seed
    language_model = adapters.attach(model, recipe.adapter, start, train=True)
    cache = _cache(model, recipe, start, scratch)
    pupil = Pupil(language_model, tokenizer, reading, lessons.table["text"].to_list(), cache)
    if cache is not None and PartialState().num_processes == 1:
        cache.share(model, pupil.sequences, scratch / "frozen")
    if recipe.settings.readout == "pooled":
        pupil.begin_reading(start, goal)
    return pupil


def _cache(
    model: PreTrainedModel, recipe: Recipe, start: Path, scratch: Path
) -> FrozenCache | None:
    """Return where the states of frozen blocks go; None where they are not all that is read.

    Raises:
        InputError: if the adapter in `start` has trained blocks that are to be frozen now.
    """
    blocks, processes = transformer_blocks(model), PartialState().num_processes
    frozen = recipe.adapter.first_block(len(blocks))
    if any(weight.requires_grad for block in blocks[:frozen] for weight in block.parameters()):
        raise InputError(
            f"{start} holds an adapter of blocks that adapter.frozen_share freezes: run the phases "
            "before this one again (dvc repro)"
        )
    limit = recipe.settings.frozen_cache_gib / processes
    reads_more = recipe.phase.losses.keys() & {"ted", "rationale", "minillm"}
    return (
        FrozenCache(blocks, frozen, scratch, limit) if frozen and limit and not reads_more else None
    )


def _reasons(
    pupil: Pupil, lessons: Lessons, recipe: Recipe, cue: str, rows: Ints
) -> list[Reason | None] | None:
    return reasons_of(
        lessons,
        rows,
        pupil.reading,
        cue,
        pupil.tokenizer,
        context=context_of(pupil.base().config),
        virtual_tokens=recipe.adapter.virtual_tokens,
        alternatives=recipe.settings.losses.rationale.kind == "top_k",
    )


def _plan(
    pupil: Pupil,
    table: pl.DataFrame,
    recipe: Recipe,
    goal: Goal,
    parts: Split,
    progress: Progress,
) -> Schedule:
    """Choose the articles of the phase by their difficulty, and the order by their domains."""
    phase, settings, seed = recipe.phase, recipe.settings, recipe.seed

    def first_losses() -> Floats:
        return goal.cross_entropies(pupil.first_logits, np.arange(table.height))

    def losses(rows: Ints) -> Floats:
        if settings.own_share > 0 and not progress.losses:  # it has just said all that it will say
            return goal.cross_entropies(pupil.first_logits[rows], rows)
        return goal.cross_entropies(pupil.logits(rows), rows)

    hardness = difficulty(settings.difficulty, table, goal.targets, first_losses, seed)
    return schedule(
        settings.sampling,
        bucket(hardness, table["id"].to_list(), goal.answers, goal.rows, *phase.articles),
        parts,
        epochs=phase.epochs,
        batch_size=recipe.optimizer.batch_size,
        teacher_losses=lambda rows: np.asarray(entropy(goal.targets[rows], axis=1)),
        student_losses=losses,
        measurements=progress.measurements,
        seed=seed,
    )


def _result(pupil: Pupil, plan: Schedule, progress: Progress, effective: str) -> PhaseResult:
    trainable, parameters = adapters.trainable_share(pupil.language_model)
    readout = 0 if pupil.readout is None else parameters_of(pupil.readout)
    return PhaseResult(
        curve=progress.curve(),
        domains=plan.domains(),
        articles=len(plan.rows),
        steps=len(progress.losses),
        optimizer=effective,
        trainable=trainable + readout,
        parameters=parameters + readout,
    )


def save_student(pupil: Pupil, reading: Reading, out: Path) -> None:
    """Write adapter, readout and reading: what a student needs besides its base."""
    with replacing(out) as aside:
        adapters.save(pupil.language_model, aside)
        if pupil.readout is not None:
            save_readout(pupil.readout, aside)
        save_reading(reading, pupil.base().config, aside)


def summary(result: PhaseResult) -> dict[str, Any]:
    """Return the metrics of a phase; nothing in them depends on the clock."""
    return {
        "articles": result.articles,
        "steps": result.steps,
        "first_loss": round(result.curve["loss"][0], 6),
        "last_loss": round(result.curve["loss"][-1], 6),
        "optimizer": result.optimizer,
        "trainable_parameters": result.trainable,
        "trainable_share": round(result.trainable / result.parameters, 6),
    }
