"""Losses on tokens: chunks against dense logits, and against values by hand."""

import pytest
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from akd.distill.losses.tokens import next_token, top_k_kl
from akd.distill.losses.vocabulary import Head, head_of
from tests.distill.token_batch import (
    BATCH,
    LENGTH,
    TOP,
    VOCABULARY,
    dense_log_probabilities,
    embeddings_of,
    stored_top,
)


def _buckets(log_q: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    named = log_q.gather(-1, tokens).exp()
    return torch.cat([named, 1 - named.sum(-1, keepdim=True)], -1)


@pytest.mark.parametrize("trained", ["head", "states", "both"])
@pytest.mark.parametrize("bias", [True, False])
def test_chunked_is_dense_in_loss_and_gradient(
    hidden: torch.Tensor, tokens: torch.Tensor, counted: torch.Tensor, trained: str, bias: bool
) -> None:
    top_tokens, top, tail = stored_top()
    teacher = torch.cat([top.exp(), tail[..., None]], -1)

    def dense(log_q: torch.Tensor) -> torch.Tensor:
        log_q = log_q[:, :-1][counted[:, 1:]]
        target = teacher[:, 1:][counted[:, 1:]]
        buckets = _buckets(log_q, top_tokens[:, 1:][counted[:, 1:]])
        divergence = (target * (target / buckets).log()).sum(-1).mean()
        entropy = functional.nll_loss(log_q, tokens[:, 1:][counted[:, 1:]])
        return entropy + 3 * divergence

    results = []
    for chunked in (True, False):
        embeddings = embeddings_of(bias).requires_grad_(trained != "states")
        states = hidden.clone().requires_grad_(trained != "head")
        if chunked:
            head = head_of(embeddings, VOCABULARY)
            loss = next_token(states, tokens, counted, head)
            loss = loss + 3 * top_k_kl(states, top_tokens, top, tail, counted, head)
        else:
            loss = dense(dense_log_probabilities(states, embeddings))
        loss.backward()
        results.append([loss.detach(), states.grad, *(p.grad for p in embeddings.parameters())])
    assert sum(value is not None for value in results[0]) >= 2
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_next_token_is_what_torch_computes(
    hidden: torch.Tensor, tokens: torch.Tensor, counted: torch.Tensor
) -> None:
    head = Head(embeddings_of().weight[:VOCABULARY], None)
    targets = tokens.masked_fill(~counted, -100)[:, 1:].flatten()
    rows = hidden[:, :-1].flatten(0, 1)
    expected = functional.linear_cross_entropy(rows, head.weight, targets)
    torch.testing.assert_close(next_token(hidden, tokens, counted, head), expected)


def test_it_is_the_loss_of_a_language_model(model: PreTrainedModel) -> None:
    """Of every family: states after the final norm and the head are all that the losses need."""
    model.config.final_logit_softcapping = None  # of Gemma 2: such a student is refused
    tokens = torch.randint(0, 512, (2, 12))
    expected = model(tokens, labels=tokens).loss
    head = head_of(model.get_output_embeddings(), 512)
    states = model.base_model(tokens).last_hidden_state
    everywhere = torch.ones_like(tokens, dtype=torch.bool)
    loss = next_token(states, tokens, everywhere, head)
    torch.testing.assert_close(loss, expected)
    shared = model.get_input_embeddings().weight
    found, wanted = (torch.autograd.grad(value, shared)[0] for value in (loss, expected))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_top_k_by_hand() -> None:
    """The student has (1/2, 1/4, 1/4); the teacher names token 1 with 3/4."""
    head = Head(torch.tensor([[2.0], [1.0], [1.0]]).log(), None)
    loss = top_k_kl(
        torch.ones(1, 2, 1),
        torch.tensor([[[0], [1]]]),
        torch.tensor([[[0.0], [0.75]]]).log(),
        torch.tensor([[0.0, 0.25]]),
        torch.tensor([[False, True]]),
        head,
    )
    expected = 0.75 * torch.log(torch.tensor(3.0)) + 0.25 * torch.log(torch.tensor(1 / 3))
    torch.testing.assert_close(loss, expected)


def test_the_teacher_as_its_own_student_has_no_divergence_and_others_have_less_than_in_full(
    hidden: torch.Tensor, counted: torch.Tensor
) -> None:
    embeddings, other = embeddings_of().requires_grad_(False), embeddings_of(seed=9)
    log_p = dense_log_probabilities(hidden, embeddings)
    # row t is stored with the token that it is about
    top, top_tokens = functional.pad(log_p[:, :-1], (0, 0, 1, 0)).topk(TOP, dim=-1)
    stored = (top_tokens, top, 1 - top.exp().sum(-1), counted)
    states = hidden.clone().requires_grad_()
    own = top_k_kl(states, *stored, head_of(embeddings, VOCABULARY))
    own.backward()
    assert abs(own.item()) < 1e-6
    assert states.grad is not None
    assert states.grad.abs().max() < 1e-6
    log_q = dense_log_probabilities(hidden, other)
    full = (log_p.exp() * (log_p - log_q)).nan_to_num().sum(-1)[:, :-1][counted[:, 1:]].mean()
    assert 0 < top_k_kl(hidden, *stored, head_of(other, VOCABULARY)).item() < full.item()


def test_what_was_stored_in_half_precision_is_as_good_as_live(
    hidden: torch.Tensor, counted: torch.Tensor
) -> None:
    top_tokens, top, tail = stored_top()
    head = head_of(embeddings_of(), VOCABULARY)
    live = top_k_kl(hidden, top_tokens, top, tail, counted, head)
    cached = top_k_kl(hidden, top_tokens, top.half(), tail, counted, head)
    torch.testing.assert_close(cached, live, rtol=1e-3, atol=0)


def test_top_k_of_the_whole_vocabulary_is_the_divergence_in_full(
    hidden: torch.Tensor, counted: torch.Tensor
) -> None:
    embeddings = embeddings_of()
    log_p = torch.randn(BATCH, LENGTH, VOCABULARY).log_softmax(-1)
    everything = torch.arange(VOCABULARY).expand(BATCH, LENGTH, -1)
    states = hidden.clone().requires_grad_()
    head = head_of(embeddings, VOCABULARY)
    loss = top_k_kl(states, everything, log_p, torch.zeros(BATCH, LENGTH), counted, head)
    loss.backward()
    assert states.grad is not None
    assert torch.isfinite(states.grad).all()
    log_q = dense_log_probabilities(hidden, embeddings)[:, :-1, :VOCABULARY][counted[:, 1:]]
    target = log_p[:, 1:][counted[:, 1:]]
    expected = functional.kl_div(log_q, target, log_target=True, reduction="batchmean")
    torch.testing.assert_close(loss, expected)


def test_a_bfloat16_head_rounds_states_but_not_the_loss(
    hidden: torch.Tensor, tokens: torch.Tensor, counted: torch.Tensor
) -> None:
    embeddings = embeddings_of().bfloat16()
    states = hidden.bfloat16().requires_grad_()
    loss = next_token(states, tokens, counted, head_of(embeddings, VOCABULARY))
    loss.backward()
    assert loss.dtype == torch.float32
    assert states.grad is not None
    assert (states.grad.dtype, embeddings.weight.grad.dtype) == (torch.bfloat16, torch.bfloat16)
    expected = next_token(hidden, tokens, counted, head_of(embeddings_of(), VOCABULARY))
    torch.testing.assert_close(loss, expected, rtol=0.01, atol=0)
