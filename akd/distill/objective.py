"""The objective of a phase: its losses, each bound to what is stored for it."""

from collections.abc import Callable, Sequence
from functools import partial

import torch

from akd.distill.losses import group_logits, soft_cross_entropy
from akd.distill.trainer import Batch, Loss, Term
from akd.models.student import StudentOutput
from akd.specs.distillation import LossName, LossParams, Phase

ClassLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From class logits (batch, labels) and the teacher's distribution to a scalar."""


def objective(phase: Phase, losses: LossParams, groups: Sequence[int] | None) -> dict[str, Term]:
    """Return the weighted losses of a phase.

    Args:
        losses: their settings.
        groups: for each label its group, where the phase learns groups; None for the labels.
    """

    def build(name: LossName) -> Loss:
        match name:
            case "soft_cross_entropy":
                return _on_classes(
                    partial(soft_cross_entropy, temperature=phase.temperature), groups
                )
            case _:
                raise NotImplementedError(name)

    return {name: Term(weight, build(name)) for name, weight in phase.losses.items()}


def _on_classes(loss: ClassLoss, groups: Sequence[int] | None) -> Loss:
    def found(output: StudentOutput, batch: Batch) -> torch.Tensor:
        logits = output.logits if groups is None else group_logits(output.logits, groups)
        return loss(logits, batch["targets"])

    return found
