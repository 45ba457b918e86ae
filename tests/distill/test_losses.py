"""Losses on classes, and curriculum, by hand-computed values."""

from functools import partial

import numpy as np
import pytest
import torch

from akd.distill.curriculum import group_probabilities
from akd.distill.losses.classes import (
    forward_kl,
    group_logits,
    hard_cross_entropy,
    jensen_shannon,
    reverse_kl,
    skew_kl,
    soft_cross_entropy,
)

DIVERGENCES = {
    "forward": forward_kl,
    "reverse": reverse_kl,
    "jensen_shannon": partial(jensen_shannon, beta=0.3),
    "skew": partial(skew_kl, skew=0.1),
}
P, Q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])


def test_soft_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[np.log(0.5), np.log(0.25), np.log(0.25)]])
    target = torch.tensor([[1.0, 0.0, 0.0]])
    assert soft_cross_entropy(logits, target, 1.0).item() == pytest.approx(np.log(2), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_teacher_as_its_own_student_has_no_divergence(temperature: float) -> None:
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    p = logits.detach().softmax(-1)
    loss = soft_cross_entropy(logits, p, temperature)
    softened = (logits.detach() / temperature).softmax(-1)
    entropy = -(softened * softened.log()).sum(-1).mean()
    assert (loss / temperature**2 - entropy).item() == pytest.approx(0.0, abs=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.abs().max().item() < 1e-6


def test_the_gradient_is_the_difference_of_the_distributions() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5]], requires_grad=True)
    target = torch.tensor([[0.2, 0.3, 0.5]])
    soft_cross_entropy(logits, target, 1.0).backward()
    torch.testing.assert_close(logits.grad, logits.detach().softmax(-1) - target)


def test_hard_cross_entropy_asks_for_the_most_probable_class_alone() -> None:
    logits = torch.tensor([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3]]).log()
    expected = -(np.log(0.2) + np.log(0.3)) / 2
    assert hard_cross_entropy(logits, torch.tensor([0, 2])).item() == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("forward", np.log(2 / np.sqrt(3))),
        ("reverse", 0.25 * np.log(0.5) + 0.75 * np.log(1.5)),
        # the mixture is 0.3 * (0.5, 0.5) + 0.7 * (0.25, 0.75)
        (
            "jensen_shannon",
            0.3 * 0.5 * np.log(0.25 / 0.325 / 0.675)
            + 0.7 * (0.25 * np.log(0.25 / 0.325) + 0.75 * np.log(0.75 / 0.675)),
        ),
        # and here 0.1 * (0.5, 0.5) + 0.9 * (0.25, 0.75)
        ("skew", 0.5 * np.log(0.25 / 0.275 / 0.725)),
    ],
)
def test_a_divergence_by_hand(name: str, expected: float) -> None:
    assert DIVERGENCES[name](Q.log(), P, 1.0).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_a_student_that_says_what_the_teacher_says_has_no_loss(
    name: str, temperature: float
) -> None:
    logits = torch.randn(4, 5, requires_grad=True)
    loss = DIVERGENCES[name](logits, logits.detach().softmax(-1), temperature)
    loss.backward()
    assert abs(loss.item()) < 1e-6
    assert logits.grad is not None
    assert logits.grad.abs().max().item() < 1e-6


@pytest.mark.parametrize("name", DIVERGENCES)
def test_the_temperature_softens_both_sides_and_squared_is_a_factor(name: str) -> None:
    """Logits twice as large are the same distributions at T = 2; only the factor T^2 differs."""
    teacher, logits = torch.randn(4, 5), torch.randn(4, 5, requires_grad=True)
    plain = DIVERGENCES[name](logits, teacher.softmax(-1), 1.0)
    wide = DIVERGENCES[name](2 * logits, (2 * teacher).softmax(-1), 2.0)
    torch.testing.assert_close(wide, 4 * plain)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_a_class_that_the_teacher_excludes_leaves_loss_and_gradient_finite(name: str) -> None:
    logits = torch.tensor([[0.0, 30.0, -30.0]], requires_grad=True)
    loss = DIVERGENCES[name](logits, torch.tensor([[0.0, 0.0, 1.0]]), 1.0)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_forward_kl_has_the_gradient_of_soft_cross_entropy() -> None:
    p = torch.randn(4, 5).softmax(-1)
    gradients = []
    for loss in (forward_kl, soft_cross_entropy):
        logits = torch.linspace(-1, 1, 20).reshape(4, 5).requires_grad_()
        loss(logits, p, 2.0).backward()
        gradients.append(logits.grad)
    torch.testing.assert_close(*gradients)


def test_jensen_shannon_ends_at_the_forward_and_at_the_reverse_divergence() -> None:
    near_zero = jensen_shannon(Q.log(), P, 1.0, 0.002).item() / 0.002
    near_one = jensen_shannon(Q.log(), P, 1.0, 0.998).item() / 0.002
    assert near_zero == pytest.approx(forward_kl(Q.log(), P, 1.0).item(), rel=0.01)
    assert near_one == pytest.approx(reverse_kl(Q.log(), P, 1.0).item(), rel=0.01)
    assert near_zero > 1.05 * near_one


def test_jensen_shannon_is_symmetric_in_the_middle_and_only_there() -> None:
    torch.manual_seed(0)
    logits, other = torch.randn(4, 5), torch.randn(4, 5)

    def both(beta: float) -> tuple[float, float]:
        one = jensen_shannon(logits, other.softmax(-1), 1.0, beta)
        return one.item(), jensen_shannon(other, logits.softmax(-1), 1.0, beta).item()

    assert both(0.5)[0] == pytest.approx(both(0.5)[1], rel=1e-5)
    assert both(0.1)[0] == pytest.approx(both(0.9)[1], rel=1e-5)
    assert both(0.1)[0] != pytest.approx(both(0.1)[1], rel=0.01)


def test_groups_sum_probabilities_on_both_sides() -> None:
    logits = torch.randn(3, 4)
    groups = [0, 1, 0, 1]
    p = logits.softmax(-1)
    expected = torch.stack([p[:, 0] + p[:, 2], p[:, 1] + p[:, 3]], -1)
    torch.testing.assert_close(group_logits(logits, groups).softmax(-1), expected)
    summed = group_probabilities(p.double().numpy(), groups)
    np.testing.assert_allclose(summed, expected, atol=1e-6)
