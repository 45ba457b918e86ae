"""Losses on tokens: of an article (`cpt`) or of a rationale that the teacher wrote.

Sequences are (batch, length), right-padded; `counted` says which tokens count, as targets. What is
not counted may hold anything. Every loss is a mean over all counted tokens of the batch, in nats,
and 0 where there are none.
"""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from akd.distill.losses.vocabulary import CHUNK, Head, chunked_mean, predicted, predicting


def next_token(
    hidden: torch.Tensor, tokens: torch.Tensor, counted: torch.Tensor, head: Head
) -> torch.Tensor:
    """Return - log q(token | tokens before), the mean over the counted tokens.

    Counted over articles it is the loss of continued pre-training (`cpt`); counted over the
    rationale that stands behind the article it is L_rationale of Distilling step-by-step (Hsieh et
    al. 2023, eq. 4), given the teacher's label as well, where there the text alone is given. The
    result is float32 whatever the head's dtype, where torch's own `linear_cross_entropy` rounds it
    to three digits of bfloat16.

    Args:
        hidden: final states of the student (batch, length, width), after the final norm.
        tokens: (batch, length).
        counted: (batch, length), bool.
        head: of the student.
    """
    targets = predicted(tokens, counted)

    def surprise(logits: torch.Tensor, part: slice) -> torch.Tensor:
        return nn.functional.cross_entropy(logits, targets[part], reduction="sum")

    return chunked_mean(surprise, predicting(hidden, counted), head)


def token_log_probabilities(
    hidden: torch.Tensor, tokens: torch.Tensor, counted: torch.Tensor, head: Head
) -> torch.Tensor:
    """Return log q(token | tokens before) of each counted token, 0 elsewhere (batch, length).

    The arguments are those of `next_token`. Differentiable; the logits of a chunk are computed
    again in the backward pass, since what multiplies the gradient of each token is known only then.
    """
    inside = counted.clone()
    inside[:, 0] = False
    found = torch.zeros(tokens.shape, dtype=torch.float32, device=tokens.device)
    states = torch.split(predicting(hidden, inside), CHUNK)
    targets = torch.split(predicted(tokens, inside), CHUNK)
    chunks = [
        checkpoint(_log_probabilities, *part, head, use_reentrant=False, preserve_rng_state=False)
        for part in zip(states, targets, strict=True)
    ]
    return found.masked_scatter(inside, torch.cat(chunks))


def top_k_kl(
    hidden: torch.Tensor,
    top_tokens: torch.Tensor,
    top_log_probabilities: torch.Tensor,
    tail: torch.Tensor,
    counted: torch.Tensor,
    head: Head,
) -> torch.Tensor:
    """Return KL(P || Q) over k + 1 buckets: the teacher's top k tokens, and all the others.

    Exact for these buckets; by the log-sum inequality it is at most the KL over the vocabulary,
    and 0 only if the student agrees about each of the k and about what is left. At temperature 1,
    since a tail cannot be softened after the fact.

    Args:
        hidden: final states of the student (batch, length, width), after the final norm.
        top_tokens: the teacher's most probable tokens in the place of each token, all different
            (batch, length, k); k may be the whole vocabulary.
        top_log_probabilities: the teacher's, over its whole vocabulary (batch, length, k), nats.
        tail: the teacher's probability of all other tokens (batch, length).
        counted: (batch, length), bool.
        head: of the student, whose vocabulary holds the teacher's top tokens.
    """
    tokens = predicted(top_tokens, counted)
    named_mass = predicted(top_log_probabilities, counted).float().exp()
    teacher = torch.cat([named_mass, predicted(tail, counted)[:, None].float()], dim=-1)

    def divergence(logits: torch.Tensor, part: slice) -> torch.Tensor:
        target = teacher[part]
        named = logits.gather(-1, tokens[part])
        others = logits.scatter(-1, tokens[part], -torch.inf).logsumexp(-1, keepdim=True)
        student = torch.cat([named, others], dim=-1) - logits.logsumexp(-1, keepdim=True)
        # 0 log 0 = 0, also where the student has no such bucket
        return nn.functional.kl_div(student.masked_fill(target == 0, 0.0), target, reduction="sum")

    return chunked_mean(divergence, predicting(hidden, counted), head)


def _log_probabilities(states: torch.Tensor, tokens: torch.Tensor, head: Head) -> torch.Tensor:
    logits = nn.functional.linear(states.to(head.weight.dtype), *head).float()
    return -nn.functional.cross_entropy(logits, tokens, reduction="none")
