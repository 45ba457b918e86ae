"""What is never there: mass of padding rows, masked positions, logits of a whole batch."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from akd.distill.losses.minillm import single_step
from akd.distill.losses.tokens import next_token, token_log_probabilities, top_k_kl
from akd.distill.losses.vocabulary import CHUNK, Head, head_of
from tests.distill.token_batch import (
    VOCABULARY,
    dense_log_probabilities,
    embeddings_of,
    stored_top,
)

Loss = Callable[[torch.Tensor, Head], torch.Tensor]


def test_rows_that_pad_the_vocabulary_have_no_mass_and_no_gradient(
    hidden: torch.Tensor, tokens: torch.Tensor, counted: torch.Tensor
) -> None:
    embeddings = embeddings_of()
    with torch.no_grad():
        embeddings.bias[VOCABULARY:] = 50.0  # would take all mass
    head = head_of(embeddings, VOCABULARY)
    next_token(hidden, tokens, counted, head).backward()
    assert (embeddings.weight.grad[VOCABULARY:] == 0).all()
    log_q = token_log_probabilities(hidden, tokens, counted, head)
    following = tokens[:, 1:, None]
    dense = dense_log_probabilities(hidden, embeddings)[:, :-1]
    expected = dense.gather(-1, following)[..., 0]
    torch.testing.assert_close(log_q[:, 1:], expected * counted[:, 1:])
    # padding with zeros instead would have lowered every probability
    zeros = functional.pad(functional.linear(hidden, *head), (0, 20)).log_softmax(-1)
    assert (zeros[:, :-1].gather(-1, following)[..., 0] < expected).all()


def _losses(tokens: torch.Tensor, counted: torch.Tensor) -> dict[str, Loss]:
    top_tokens, top, tail = stored_top()
    garbage = ~counted
    tokens = tokens.masked_fill(garbage, -1)
    top = top.masked_fill(garbage[..., None], torch.nan)
    tail = tail.masked_fill(garbage, torch.nan)
    top_tokens = top_tokens.masked_fill(garbage[..., None], -1)
    return {
        "next_token": lambda states, head: next_token(states, tokens, counted, head),
        "top_k": lambda states, head: top_k_kl(states, top_tokens, top, tail, counted, head),
        "log_probabilities": lambda states, head: token_log_probabilities(
            states, tokens, counted, head
        ).sum(),
    }


@pytest.mark.parametrize("name", ["next_token", "top_k", "log_probabilities"])
def test_masked_positions_contribute_nothing(
    hidden: torch.Tensor, tokens: torch.Tensor, counted: torch.Tensor, name: str
) -> None:
    head = head_of(embeddings_of().requires_grad_(False), VOCABULARY)
    loss = _losses(tokens, counted)[name]
    states = hidden.clone().requires_grad_()
    value = loss(states, head)
    value.backward()
    predicts = functional.pad(counted[:, 1:], (0, 1))
    assert states.grad is not None
    assert (states.grad[~predicts] == 0).all()
    assert (states.grad[predicts] != 0).any(-1).all()
    torch.testing.assert_close(
        loss(hidden.masked_fill(~predicts[..., None], torch.nan), head), value.detach()
    )


@pytest.mark.parametrize("name", ["next_token", "top_k", "log_probabilities"])
def test_a_batch_in_which_nothing_counts_has_no_loss(
    hidden: torch.Tensor, tokens: torch.Tensor, counted: torch.Tensor, name: str
) -> None:
    states = hidden.clone().requires_grad_()
    nothing = torch.zeros_like(counted)
    loss = _losses(tokens, nothing)[name](states, head_of(embeddings_of(), VOCABULARY))
    loss.backward()
    assert loss.item() == 0
    assert states.grad is None or (states.grad == 0).all()


@pytest.mark.parametrize("name", ["next_token", "top_k", "log_probabilities"])
def test_validation_computes_no_gradient(
    hidden: torch.Tensor, tokens: torch.Tensor, counted: torch.Tensor, name: str
) -> None:
    head, loss = head_of(embeddings_of(), VOCABULARY), _losses(tokens, counted)[name]
    expected = loss(hidden, head)
    with torch.inference_mode():
        found = loss(hidden, head)
    assert not found.requires_grad
    torch.testing.assert_close(found, expected.detach())


class _Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that any operation gives."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(given):
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return given


def _largest(compute: Callable[[], torch.Tensor]) -> int:
    with _Largest() as largest:
        compute().backward()
    return largest.numbers


def test_no_tensor_of_positions_times_vocabulary_is_ever_made(
    hidden: torch.Tensor, tokens: torch.Tensor, counted: torch.Tensor
) -> None:
    embeddings = embeddings_of()
    targets = tokens[:, 1:].flatten()
    dense = _largest(
        lambda: functional.cross_entropy(embeddings(hidden)[:, :-1].flatten(0, 1), targets)
    )
    assert dense >= len(targets) * VOCABULARY
    teacher = head_of(embeddings_of(seed=9), VOCABULARY)
    ones = torch.ones(counted.shape)
    losses = {
        **_losses(tokens, counted),
        "single_step": lambda s, h: single_step(s, h, hidden, teacher, ones, counted),
    }
    for loss in losses.values():
        states = hidden.clone().requires_grad_()
        head = head_of(embeddings, VOCABULARY)
        assert _largest(partial(loss, states, head)) == CHUNK * VOCABULARY
