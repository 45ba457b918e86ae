"""Losses: signals in, scalar out. No loss knows a teacher."""

from collections.abc import Sequence

import torch
from torch import nn


def soft_cross_entropy(
    logits: torch.Tensor, probabilities: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return - T^2 sum_c y_c log yhat_c, the mean over the batch ([ANON] eq. 1).

    Args:
        logits: of the student (batch, labels).
        probabilities: of the teacher (batch, labels); each row sums to 1.
        temperature: T. Both sides are softened: y ~ p^(1/T) and yhat = softmax(z / T); the factor
            T^2 keeps the size of the gradient (Hinton et al. 2015).

    Returns:
        A scalar in nats.
    """
    softened = probabilities.clamp_min(1e-12).log().div(temperature).softmax(-1)
    log_student = nn.functional.log_softmax(logits.float() / temperature, dim=-1)
    return -(temperature**2) * (softened * log_student).sum(-1).mean()


def group_logits(logits: torch.Tensor, groups: Sequence[int]) -> torch.Tensor:
    """Return logits of groups of labels whose softmax is the sum of the labels' probabilities.

    Args:
        logits: (batch, labels).
        groups: for each label the number of its group, counted from 0.

    Returns:
        Logits (batch, groups).
    """
    log_probabilities = logits.float().log_softmax(-1)
    members = [
        [label for label, group in enumerate(groups) if group == number]
        for number in range(max(groups) + 1)
    ]
    return torch.stack([log_probabilities[:, rows].logsumexp(-1) for rows in members], dim=-1)
