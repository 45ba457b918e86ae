"""Sequence-level reverse KL as a policy gradient (MiniLLM, Gu et al. 2024, arXiv 2306.08543).

The gradient of KL(Q || P) over whole texts, with r_t = log p(y_t) - log q(y_t) for sampled tokens
(eq. 2 and 3): the divergence of each single step, whose expectation is exact (`single_step`), plus
a policy gradient with the rewards that come after a step (`policy_gradient`):

    loss = single_step(...) + policy_gradient(...)

Rewards and weights are constants; tensors are (batch, length), right-padded, in nats, and `counted`
says which tokens were sampled, which leaves out prompt and padding. With weights of whole texts,
`rewards_after` and no clip the expected gradient, as a sum over tokens, is that of the divergence;
the paper accepts some bias for less variance: weights of single tokens, mean rewards, the clip of
PPO. LMOps counts r_t again in the second term; we follow the paper.
"""

import math

import torch
from torch import nn

from akd.distill.losses.vocabulary import Head, chunked_mean, predicted, predicting


def mixed_log_probabilities(
    student: torch.Tensor, teacher: torch.Tensor, teacher_share: float
) -> torch.Tensor:
    """Return log(alpha p + (1 - alpha) q): teacher-mixed sampling (eq. 4), against reward hacking.

    Args:
        student, teacher: log-probabilities of any one shape.
        teacher_share: alpha, 0 < alpha < 1; 0.2 in the paper.
    """
    return torch.logaddexp(teacher + math.log(teacher_share), student + math.log1p(-teacher_share))


def importance_weights(student: torch.Tensor, sampled: torch.Tensor) -> torch.Tensor:
    """Return w_t = q(y_t) / p~(y_t) for tokens sampled from p~ (eq. 5, the step's own factor).

    The product over a text is its exact weight; the paper keeps the step's factor alone.

    Args:
        student, sampled: log-probabilities of the sampled tokens, the second under what sampled
            them.
    """
    return (student - sampled).detach().exp()


def rewards_after(
    student: torch.Tensor, teacher: torch.Tensor, counted: torch.Tensor
) -> torch.Tensor:
    """Return R_{t+1} = sum_{t' > t} r_t' of each token (eq. 3); 0 for the last one.

    Args:
        student, teacher: log-probabilities of the sampled tokens.
        counted: (batch, length), bool.
    """
    rewards = torch.where(counted, (teacher - student).detach(), 0.0)
    return _sum_after(rewards)


def mean_rewards_after(
    student: torch.Tensor, teacher: torch.Tensor, counted: torch.Tensor
) -> torch.Tensor:
    """Return `rewards_after` over the number of tokens that come: long texts weigh no more.

    Without it a short text has the higher reward, and the student learns to say nothing. Eq. 6,
    which divides by one less, and so by 0 before the last token.
    """
    to_come = _sum_after(counted.float())
    return rewards_after(student, teacher, counted) / to_come.clamp_min(1)


def policy_gradient(
    student: torch.Tensor,
    before: torch.Tensor,
    weights: torch.Tensor,
    rewards: torch.Tensor,
    counted: torch.Tensor,
    clip: float,
) -> torch.Tensor:
    """Return - min(R rho, R clamp(rho, 1 - clip, 1 + clip)), the mean over the counted tokens.

    The second term of eq. 3 and 7 as the clipped surrogate of PPO (Schulman et al. 2017, eq. 7),
    rho_t = w_t q(y_t) / q_before(y_t); as in LMOps the clip holds the product.

    Args:
        student: log-probabilities of the sampled tokens, live.
        before: the same when the tokens were sampled, constants.
        weights: see `importance_weights`; ones where the student alone sampled.
        rewards: see `rewards_after` and `mean_rewards_after`.
        counted: (batch, length), bool.
        clip: 0.2 in the paper; infinity clips nothing.

    Returns:
        A scalar whose gradient matters; its value is no divergence.
    """
    ratio = (student[counted] - before.detach()[counted]).exp() * weights.detach()[counted]
    reward = rewards.detach()[counted]
    surrogate = torch.minimum(reward * ratio, reward * ratio.clamp(1 - clip, 1 + clip))
    return -surrogate.sum() / max(1, len(reward))


def single_step(
    hidden: torch.Tensor,
    head: Head,
    teacher_hidden: torch.Tensor,
    teacher_head: Head,
    weights: torch.Tensor,
    counted: torch.Tensor,
) -> torch.Tensor:
    """Return w_t KL(Q_t || P_t) over the vocabulary, the mean over the counted tokens (eq. 3, 7).

    Minus the expected reward of a step, for all tokens that might have been sampled; chunked.

    Args:
        hidden: final states of the student (batch, length, width), after the final norm.
        head, teacher_head: over one vocabulary.
        teacher_hidden: (batch, length, teacher width), constants.
        weights: see `importance_weights` (batch, length).
        counted: (batch, length), bool.

    Returns:
        A scalar in nats.
    """
    teacher_states = predicting(teacher_hidden, counted).detach().to(teacher_head.weight)
    weight = predicted(weights, counted).detach()

    def divergence(logits: torch.Tensor, part: slice) -> torch.Tensor:
        with torch.no_grad():
            scores = nn.functional.linear(teacher_states[part], *teacher_head)
            teacher = scores.float().log_softmax(-1).to(logits.device)
        steps = nn.functional.kl_div(
            teacher, logits.log_softmax(-1), log_target=True, reduction="none"
        )
        return (weight[part] * steps.sum(-1)).sum()

    return chunked_mean(divergence, predicting(hidden, counted), head)


def _sum_after(values: torch.Tensor) -> torch.Tensor:
    """Return for each column the sum of those right of it."""
    # A product, since CUDA has no cumulative sum in a fixed order.
    length = values.shape[-1]
    return values @ torch.ones(length, length, dtype=values.dtype, device=values.device).tril(-1)
