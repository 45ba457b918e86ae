"""Losses on class distributions: logits and stored probabilities in, a scalar in nats out.

P is the target (the teacher, or what was made of it), Q the student. All but `hard_cross_entropy`
soften both sides, y ~ p^(1/T) and yhat = softmax(z / T), and carry the factor T^2, which keeps the
size of the gradient whatever the temperature (Hinton et al. 2015, section 2). Logits and
probabilities are (batch, labels); each row of probabilities sums to 1. The result is the mean over
the batch.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

_SMALLEST = 1e-12  # a stored probability of 0 has a logarithm too


def soft_cross_entropy(
    logits: torch.Tensor, probabilities: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return - T^2 sum_c y_c log yhat_c ([ANON] eq. 1)."""
    softened = _teacher_logits(probabilities, temperature).softmax(-1)
    log_student = nn.functional.log_softmax(logits.float() / temperature, dim=-1)
    return -(temperature**2) * (softened * log_student).sum(-1).mean()


def hard_cross_entropy(logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Return - log yhat_c for the teacher's most probable c: its labels without its doubts.

    Args:
        answers: these c (batch,).
    """
    return nn.functional.cross_entropy(logits.float(), answers)


def forward_kl(
    logits: torch.Tensor, probabilities: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return T^2 KL(P || Q) (Hinton et al. 2015): the student covers all that the teacher holds.

    Its gradient is that of `soft_cross_entropy`; the two differ by the teacher's entropy.
    """
    log_student, log_teacher = _log_distributions(logits, probabilities, temperature)
    return temperature**2 * _divergence(log_teacher, log_student)


def reverse_kl(
    logits: torch.Tensor, probabilities: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return T^2 KL(Q || P) (Gu et al. 2024): the student keeps to where the teacher is sure."""
    log_student, log_teacher = _log_distributions(logits, probabilities, temperature)
    return temperature**2 * _divergence(log_student, log_teacher)


def jensen_shannon(
    logits: torch.Tensor, probabilities: torch.Tensor, temperature: float, beta: float
) -> torch.Tensor:
    """Return T^2 JSD_beta = T^2 (beta KL(P || M) + (1 - beta) KL(Q || M)), M = beta P + (1-beta) Q.

    The generalised divergence of GKD (Agarwal et al. 2024, section 2). The end at 0 is the forward
    one and that at 1 the reverse one: JSD_beta / beta -> KL(P || Q) for beta -> 0, and
    JSD_beta / (1 - beta) -> KL(Q || P) for beta -> 1. At 0.5 it is symmetric and at most log 2.

    Args:
        beta: the teacher's share of the mixture, 0 < beta < 1; at the ends the loss is 0.
    """
    log_student, log_teacher = _log_distributions(logits, probabilities, temperature)
    log_mixture = _log_mixture(log_teacher, log_student, beta)
    from_teacher = _divergence(log_teacher, log_mixture)
    from_student = _divergence(log_student, log_mixture)
    return temperature**2 * (beta * from_teacher + (1 - beta) * from_student)


def skew_kl(
    logits: torch.Tensor, probabilities: torch.Tensor, temperature: float, skew: float
) -> torch.Tensor:
    """Return T^2 KL(P || skew P + (1 - skew) Q), the skew forward KL of DistiLLM (Ko et al. 2024).

    Where the student has no mass the ratio stays below 1 / skew, and the gradient with it.

    Args:
        skew: the teacher's share of the mixture, 0 < skew < 1; 0.1 in the paper.
    """
    log_student, log_teacher = _log_distributions(logits, probabilities, temperature)
    return temperature**2 * _divergence(log_teacher, _log_mixture(log_teacher, log_student, skew))


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


def _teacher_logits(probabilities: torch.Tensor, temperature: float) -> torch.Tensor:
    return probabilities.clamp_min(_SMALLEST).log().div(temperature)


def _log_distributions(
    logits: torch.Tensor, probabilities: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the softened log-distributions of student and teacher."""
    log_student = nn.functional.log_softmax(logits.float() / temperature, dim=-1)
    return log_student, _teacher_logits(probabilities.float(), temperature).log_softmax(-1)


def _log_mixture(
    log_teacher: torch.Tensor, log_student: torch.Tensor, share: float
) -> torch.Tensor:
    return torch.logaddexp(log_teacher + math.log(share), log_student + math.log1p(-share))


def _divergence(log_first: torch.Tensor, log_second: torch.Tensor) -> torch.Tensor:
    """Return KL(first || second); torch's own function takes them the other way round."""
    return nn.functional.kl_div(log_second, log_first, log_target=True, reduction="batchmean")
