"""Task-aware filters (TED, Liang et al. 2023): match what a layer knows of the task, not all of it.

Section 3 of the paper. Stage I, models frozen: each matched layer of teacher and student gets a
linear filter and a linear head, trained on the task by `filter_loss`. Stage II: the heads are
dropped, the teacher's filters are frozen, and student and student filters learn the task plus b
times `filtered_distance`. Unlike there, states are standardised means over an article, (batch,
layers, width), not those of each token; the task of stage I is the teacher's distribution, not gold
labels; and of the teacher those layers are matched that are in the store.
"""

import torch
from torch import nn

from akd.distill.losses.classes import soft_cross_entropy
from akd.distill.losses.standardisation import Standardisation, standardisation_of


class TaskFilter(nn.Module):
    """A linear filter and a linear task head for each of several layers.

    Args:
        standardise: the states (layers, width), so that layers of every size learn at one rate.
        filtered: width of a filtered state, the same for teacher and student.
        labels: how many the task has.
    """

    def __init__(self, standardise: Standardisation, *, filtered: int, labels: int) -> None:
        super().__init__()
        self.standardise = standardise
        layers, width = standardise.center.shape
        self.filters = nn.ModuleList(nn.Linear(width, filtered) for _ in range(layers))
        self.heads = nn.ModuleList(nn.Linear(filtered, labels) for _ in range(layers))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return filtered states (batch, layers, filtered), in float32."""
        inputs = self.standardise(states).unbind(1)
        return torch.stack([f(layer) for f, layer in zip(self.filters, inputs, strict=True)], 1)

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Return the class logits of each layer (batch, layers, labels), in float32."""
        inputs = self(states).unbind(1)
        return torch.stack([h(layer) for h, layer in zip(self.heads, inputs, strict=True)], 1)


def begin_filter(states: torch.Tensor, *, filtered: int, labels: int) -> TaskFilter:
    """Return an untrained filter for states like these (n, layers, width).

    Its weights are drawn from torch's global generator.
    """
    task_filter = TaskFilter(standardisation_of(states), filtered=filtered, labels=labels)
    return task_filter.to(states.device)


def filter_loss(
    task_filter: TaskFilter, states: torch.Tensor, probabilities: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return the loss of stage I: the task through each filter, the mean over layers.

    The same function serves the teacher's filter and the student's; the states are constants.

    Args:
        states: (batch, layers, width).
        probabilities: of the teacher, the task's soft labels (batch, labels).
        temperature: see `soft_cross_entropy`.

    Returns:
        A scalar in nats.
    """
    logits = task_filter.logits(states.detach())
    repeated = probabilities.repeat_interleave(logits.shape[1], dim=0)
    return soft_cross_entropy(logits.flatten(0, 1), repeated, temperature)


def filtered_distance(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return the loss of stage II: the mean squared error of the filtered states.

    Only the student's side gets a gradient, its states as well as its filters.

    Args:
        student: filtered states (batch, layers, filtered), live.
        teacher: the same of the teacher, row l that the student's row l follows.

    Returns:
        A scalar without a unit.
    """
    return nn.functional.mse_loss(student, teacher.detach())
