"""The objective of a phase: its losses by name, each bound to what is stored for it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import assert_never, cast

import torch

from akd.distill.losses.classes import (
    forward_kl,
    group_logits,
    hard_cross_entropy,
    jensen_shannon,
    reverse_kl,
    skew_kl,
    soft_cross_entropy,
)
from akd.distill.losses.filters import filtered_distance
from akd.distill.losses.hidden import fit_projection, gram_distance, projected_distance
from akd.distill.losses.tokens import next_token, top_k_kl
from akd.distill.losses.vocabulary import Head
from akd.distill.trainer import Batch, Loss, Term
from akd.models.student import StudentOutput
from akd.specs.distillation import (
    HiddenParams,
    KlParams,
    LossName,
    LossParams,
    Phase,
    RationaleParams,
)

ClassLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From class logits (batch, labels) and the teacher's distribution or answers to a scalar."""

StatePairs = Callable[[], tuple[torch.Tensor, torch.Tensor]]
"""Gives states of the student before the phase, and of the teacher, where these may be learnt."""


def objective(
    phase: Phase,
    losses: LossParams,
    *,
    groups: Sequence[int] | None,
    states: StatePairs,
    around: tuple[int, int],
    head: Callable[[], Head],
    sampled: Callable[[], Loss],
) -> dict[str, Term]:
    """Return the weighted losses of a phase.

    Args:
        losses: their settings.
        groups: for each label its group, where the phase learns groups; None for the labels.
        states: called where a projection is fitted.
        around: how many tokens stand before and after each article, and are no words of it.
        head: of the student, as it is now; called in each step in which words are predicted.
        sampled: gives the loss on what the student writes; called where it learns from that.
    """

    def build(name: LossName) -> Loss:
        match name:
            case "soft_cross_entropy":
                return _of_classes(
                    partial(soft_cross_entropy, temperature=phase.temperature), groups
                )
            case "hard_cross_entropy":
                return _of_classes(hard_cross_entropy, groups, "answers")
            case "kl":
                return _of_classes(_divergence(losses.kl, phase.temperature), groups)
            case "hidden":
                return _of_states(losses.hidden, states)
            case "ted":
                return _of_filters
            case "next_token":
                return _of_words(head, *around)
            case "rationale":
                return _of_reasons(losses.rationale, head)
            case "minillm":
                return sampled()
            case _:
                assert_never(name)

    return {name: Term(weight, build(name)) for name, weight in phase.losses.items()}


def _of_classes(loss: ClassLoss, groups: Sequence[int] | None, taught: str = "targets") -> Loss:
    """Return a loss on what the batch holds of the teacher under the name `taught`."""

    def found(output: StudentOutput, batch: Batch) -> torch.Tensor:
        logits = output.logits if groups is None else group_logits(output.logits, groups)
        return loss(logits, batch[taught])

    return found


def _divergence(spec: KlParams, temperature: float) -> ClassLoss:
    match spec.direction:
        case "forward":
            return partial(forward_kl, temperature=temperature)
        case "reverse":
            return partial(reverse_kl, temperature=temperature)
        case "jsd":
            return partial(jensen_shannon, temperature=temperature, beta=spec.beta)
        case "skew":
            return partial(skew_kl, temperature=temperature, skew=spec.skew)
        case _:
            assert_never(spec.direction)


def _of_states(spec: HiddenParams, states: StatePairs) -> Loss:
    match spec.kind:
        case "gram":
            return lambda output, batch: gram_distance(output.state, batch["states"])
        case "projection":
            projection = fit_projection(*states()).requires_grad_(False)
            return lambda output, batch: projected_distance(
                projection, output.state, batch["states"], spec.distance
            )
        case _:
            assert_never(spec.kind)


def _of_filters(output: StudentOutput, batch: Batch) -> torch.Tensor:
    return filtered_distance(cast(torch.Tensor, output.filtered), batch["filtered"])


def _of_words(head: Callable[[], Head], before: int, after: int) -> Loss:
    def found(output: StudentOutput, batch: Batch) -> torch.Tensor:
        places = torch.arange(batch["tokens"].shape[1], device=output.hidden.device)
        counted = (places >= before) & (places < (batch["lengths"] - after)[:, None])
        return next_token(output.hidden, batch["tokens"], counted, head())

    return found


def _of_reasons(spec: RationaleParams, head: Callable[[], Head]) -> Loss:
    match spec.kind:
        case "text":
            return lambda output, batch: next_token(
                output.hidden, batch["tokens"], batch["reason"], head()
            )
        case "top_k":
            return lambda output, batch: top_k_kl(
                output.hidden,
                batch["top_tokens"],
                batch["top_log_probabilities"],
                batch["tail_mass"],
                batch["reason"],
                head(),
            )
        case _:
            assert_never(spec.kind)
