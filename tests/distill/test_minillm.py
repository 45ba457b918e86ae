"""The policy gradient of MiniLLM against the exact divergence of all texts of a tiny language."""

import itertools

import pytest
import torch
from torch.nn import functional

from akd.distill.losses.minillm import (
    importance_weights,
    mean_rewards_after,
    mixed_log_probabilities,
    policy_gradient,
    rewards_after,
    single_step,
)
from akd.distill.losses.tokens import token_log_probabilities
from akd.distill.losses.vocabulary import Head

END, VOCABULARY, LONGEST, WIDTH = 0, 3, 3, 4
START = 1
TEXTS = sorted(
    {
        text[: text.index(END) + 1] if END in text else text
        for text in itertools.product(range(VOCABULARY), repeat=LONGEST)
    }
)
"""All texts: they stop at the first END, or when they are as long as can be."""


class _Language:
    """A language model with a state of its own for each beginning of a text."""

    def __init__(self, seed: int, *, grad: bool) -> None:
        generator = torch.Generator().manual_seed(seed)
        beginnings = {text[:length] for text in TEXTS for length in range(LONGEST + 1)}
        self._rows = {beginning: row for row, beginning in enumerate(sorted(beginnings))}
        self.states = torch.randn(len(self._rows), WIDTH, generator=generator)
        self.states.requires_grad_(grad)
        weight = torch.randn(VOCABULARY, WIDTH, generator=generator).requires_grad_(grad)
        self.head = Head(weight, None)

    def hidden(self, text: tuple[int, ...]) -> torch.Tensor:
        rows = [self._rows[text[:length]] for length in range(len(text))]
        states = self.states[rows]
        padding = torch.full((1 + LONGEST - len(text), WIDTH), torch.nan)
        return torch.cat([states, padding])[None]

    def log_probabilities(self, text: tuple[int, ...]) -> torch.Tensor:
        """The reference, without any code of ours: (length of the text,)."""
        logits = self.hidden(text)[0, : len(text)] @ self.head.weight.T
        return logits.log_softmax(-1)[range(len(text)), text]


def _row(text: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens (1, 1 + longest) after a start, padded, and which of them were sampled."""
    tokens = torch.tensor([[START, *text, *[END] * (LONGEST - len(text))]])
    position = torch.arange(1 + LONGEST)
    return tokens, ((position >= 1) & (position <= len(text)))[None]


def _exact_gradient(student: _Language, teacher: _Language) -> list[torch.Tensor]:
    divergence = torch.zeros(())
    for text in TEXTS:
        log_q, log_p = student.log_probabilities(text).sum(), teacher.log_probabilities(text).sum()
        divergence = divergence + log_q.exp() * (log_q - log_p)
    return list(torch.autograd.grad(divergence, [student.states, student.head.weight]))


def _expected_gradient(
    student: _Language, teacher: _Language, teacher_share: float
) -> list[torch.Tensor]:
    """The mean gradient of the loss over all texts, each as likely as it is to be sampled."""
    expected = torch.zeros(())
    for text in TEXTS:
        tokens, counted = _row(text)
        ours, theirs = student.hidden(text), teacher.hidden(text)
        log_q = token_log_probabilities(ours, tokens, counted, student.head)
        log_p = token_log_probabilities(theirs, tokens, counted, teacher.head)
        sampled = mixed_log_probabilities(log_q, log_p, teacher_share) if teacher_share else log_q
        sampled = torch.where(counted, sampled, 0.0).detach()
        weights = importance_weights(log_q, sampled).prod(-1, keepdim=True).expand_as(log_q)
        rewards = rewards_after(log_q, log_p, counted)
        loss = single_step(ours, student.head, theirs, teacher.head, weights, counted)
        loss = loss + policy_gradient(log_q, log_q, weights, rewards, counted, clip=torch.inf)
        expected = expected + sampled.sum().exp() * len(text) * loss  # a sum over its tokens
    return list(torch.autograd.grad(expected, [student.states, student.head.weight]))


@pytest.mark.parametrize("teacher_share", [0.0, 0.2, 0.7])
def test_the_expected_gradient_is_that_of_the_exact_reverse_divergence(
    teacher_share: float,
) -> None:
    student, teacher = _Language(1, grad=True), _Language(2, grad=False)
    exact = _exact_gradient(student, teacher)
    assert min(gradient.abs().max().item() for gradient in exact) > 0.01
    for found, wanted in zip(
        _expected_gradient(student, teacher, teacher_share), exact, strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_without_the_rewards_to_come_it_would_be_another_gradient() -> None:
    student, teacher = _Language(1, grad=True), _Language(2, grad=False)
    expected = torch.zeros(())
    for text in TEXTS:
        _, counted = _row(text)
        loss = single_step(
            student.hidden(text),
            student.head,
            teacher.hidden(text),
            teacher.head,
            torch.ones(counted.shape),
            counted,
        )
        expected = (
            expected + student.log_probabilities(text).sum().exp().detach() * len(text) * loss
        )
    alone = torch.autograd.grad(expected, [student.states])[0]
    assert (alone - _exact_gradient(student, teacher)[0]).abs().max() > 0.01


def test_the_teacher_as_its_own_student_learns_nothing() -> None:
    student, teacher = _Language(1, grad=True), _Language(1, grad=False)
    for gradient in _expected_gradient(student, teacher, 0.2):
        assert gradient.abs().max() < 1e-6


def test_log_probabilities_of_tokens_are_those_of_the_language() -> None:
    language = _Language(1, grad=False)
    for text in TEXTS:
        found = token_log_probabilities(language.hidden(text), *_row(text), language.head)
        torch.testing.assert_close(found[0, 1 : 1 + len(text)], language.log_probabilities(text))
        assert (found[0, 1 + len(text) :] == 0).all()
    total = sum(language.log_probabilities(text).sum().exp() for text in TEXTS)
    torch.testing.assert_close(total, torch.tensor(1.0))


def test_rewards_to_come_by_hand() -> None:
    counted = torch.tensor([[False, True, True, True], [False, True, True, False]])
    student = torch.tensor([[9.0, -1.0, -2.0, -3.0], [9.0, -1.0, -1.0, torch.nan]])
    teacher = torch.tensor([[0.0, -2.0, -1.0, -1.0], [0.0, -1.5, -4.0, torch.nan]])
    after = rewards_after(student, teacher, counted)
    assert after[:, 1:].tolist() == [[3.0, 2.0, 0.0], [-3.0, 0.0, 0.0]]
    mean = mean_rewards_after(student, teacher, counted)
    assert mean[:, 1:].tolist() == [[1.5, 2.0, 0.0], [-3.0, 0.0, 0.0]]


def test_sampling_from_a_mixture_by_hand() -> None:
    student, teacher = torch.tensor([0.5, 0.1]).log(), torch.tensor([0.1, 0.5]).log()
    mixed = mixed_log_probabilities(student, teacher, 0.25)
    torch.testing.assert_close(mixed.exp(), torch.tensor([0.4, 0.2]))
    torch.testing.assert_close(importance_weights(student, mixed), torch.tensor([1.25, 0.5]))


@pytest.mark.parametrize(
    ("reward", "grown", "learns"),
    [(2.0, 1.1, True), (2.0, 1.3, False), (2.0, 0.7, True), (-2.0, 0.7, False), (-2.0, 1.3, True)],
)
def test_the_clip_stops_what_went_far_enough(reward: float, grown: float, learns: bool) -> None:
    before = torch.tensor([[0.0, -2.0, torch.nan]])
    student = torch.tensor([[0.0, -2.0 + torch.tensor(grown).log(), torch.nan]]).requires_grad_()
    counted = torch.tensor([[False, True, False]])
    loss = policy_gradient(
        student, before, torch.ones(1, 3), torch.full((1, 3), reward), counted, clip=0.2
    )
    loss.backward()
    limit = min(max(grown, 0.8), 1.2)
    assert loss.item() == pytest.approx(-min(reward * grown, reward * limit), rel=1e-5)
    assert student.grad is not None
    expected = -reward * grown if learns else 0.0
    torch.testing.assert_close(student.grad, torch.tensor([[0.0, expected, 0.0]]))


def test_single_step_is_the_weighted_divergence_and_masked_positions_contribute_nothing() -> None:
    student, teacher = _Language(1, grad=True), _Language(2, grad=False)
    text = TEXTS[-1]
    weights = torch.tensor([[torch.nan, 2.0, 3.0, torch.nan]])
    counted = torch.tensor([[False, True, True, False]])
    loss = single_step(
        student.hidden(text), student.head, teacher.hidden(text), teacher.head, weights, counted
    )
    logs = [
        (language.hidden(text)[0, :2] @ language.head.weight.T).log_softmax(-1)
        for language in (student, teacher)
    ]
    steps = functional.kl_div(logs[1], logs[0], log_target=True, reduction="none").sum(-1)
    torch.testing.assert_close(loss, (2 * steps[0] + 3 * steps[1]) / 2)
    gradient = torch.autograd.grad(loss, student.states)[0]
    assert (gradient != 0).any(-1).sum() == 2
