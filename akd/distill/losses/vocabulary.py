"""Losses over a whole vocabulary without its logits: a few positions at a time.

The logits of a batch, (positions, vocabulary), are larger than anything else in a small model's
training step. Here they exist for one chunk of positions at a time, and the gradient of the chunk
is taken before the next one is begun; what is kept is as large as states and head.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import nn

CHUNK = 64  # positions: few enough for memory, enough to read the head's weights seldom

Terms = Callable[[torch.Tensor, slice], torch.Tensor]
"""From the logits (chunk, vocabulary), float32, of a slice of positions to their summed loss."""


class Head(NamedTuple):
    """Output embeddings without padding rows.

    Attributes:
        weight: (vocabulary, width), frozen or trained.
        bias: (vocabulary,) or None.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None


def head_of(output_embeddings: nn.Linear, vocabulary: int) -> Head:
    """Return the rows of the head that belong to a token.

    Models pad their vocabulary to a round number. The rows beyond the tokenizer's last token are
    cut off, which gives each the logit -inf: no mass, no gradient. (A logit of 0, which padding
    with zeros gives, would take e^0 of the partition.)

    Args:
        output_embeddings: of a language model, with at least `vocabulary` rows.
        vocabulary: how many rows stand for tokens, see `akd.models.load.vocabulary_of`.
    """
    bias = output_embeddings.bias
    return Head(output_embeddings.weight[:vocabulary], None if bias is None else bias[:vocabulary])


def predicting(states: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Return the states (positions, ...) that predict the counted tokens: those one step before.

    Args:
        states: (batch, length, ...).
        counted: which tokens count (batch, length), bool; nothing predicts the first one.
    """
    return states[:, :-1][counted[:, 1:]]


def predicted(values: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Return what belongs to the counted tokens (positions, ...), in the order of `predicting`."""
    return values[:, 1:][counted[:, 1:]]


def chunked_mean(terms: Terms, states: torch.Tensor, head: Head) -> torch.Tensor:
    """Return the mean over positions of a loss on their logits; 0 where there is no position.

    Loss and gradient are those of `terms(linear(states, *head), slice(None)) / positions`.
    Gradients of head rows are summed in float32; second derivatives do not exist.

    Args:
        terms: the summed loss of a slice of positions, from their logits.
        states: (positions, width), after the final norm.
        head: frozen or trained.
    """
    states, (weight, bias) = states.to(head.weight.dtype), head
    if not torch.is_grad_enabled():  # the forward pass would compute the gradient all the same
        states, weight = states.detach(), weight.detach()
        bias = None if bias is None else bias.detach()
    total = cast(torch.Tensor, _Chunked.apply(terms, states, weight, bias))  # type: ignore[no-untyped-call]
    return total / max(1, len(states))


class _Chunked(torch.autograd.Function):
    """The sum of `terms` over chunks of positions; the forward pass computes the gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        terms: Terms,
        states: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
    ) -> torch.Tensor:
        inputs = (states, weight, bias)
        needed = ctx.needs_input_grad[1:]
        sums = [
            torch.zeros_like(whole, dtype=torch.float32) if need and whole is not None else None
            for whole, need in zip(inputs, needed, strict=True)
        ]
        total = states.new_zeros((), dtype=torch.float32)
        for start in range(0, len(states), CHUNK):
            part = slice(start, start + CHUNK)
            leaves = [
                None if whole is None else whole.detach().requires_grad_(need)
                for whole, need in zip((states[part], weight, bias), needed, strict=True)
            ]
            with torch.enable_grad():
                loss = terms(nn.functional.linear(*leaves).float(), part)  # type: ignore[arg-type]
            total += loss.detach()
            asked = [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]
            found = iter(torch.autograd.grad(loss, asked) if asked else ())
            for place, whole in zip((part, slice(None), slice(None)), sums, strict=True):
                if whole is not None:
                    whole[place] += next(found)
        ctx.save_for_backward(
            *(
                None if gradient is None or whole is None else gradient.to(whole.dtype)
                for gradient, whole in zip(sums, inputs, strict=True)
            )
        )
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradients = (None if g is None else g * upstream.to(g.dtype) for g in ctx.saved_tensors)
        return None, *gradients
