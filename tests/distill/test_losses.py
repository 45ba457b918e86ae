"""Losses and curriculum by hand-computed values."""

import numpy as np
import polars as pl
import pytest
import torch

from akd.distill.curriculum import easiest, group_probabilities
from akd.distill.losses import group_logits, soft_cross_entropy


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


def test_groups_sum_probabilities_on_both_sides() -> None:
    logits = torch.randn(3, 4)
    groups = [0, 1, 0, 1]
    p = logits.softmax(-1)
    expected = torch.stack([p[:, 0] + p[:, 2], p[:, 1] + p[:, 3]], -1)
    torch.testing.assert_close(group_logits(logits, groups).softmax(-1), expected)
    summed = group_probabilities(p.double().numpy(), groups)
    np.testing.assert_allclose(summed, expected, atol=1e-6)


def test_the_easiest_are_those_of_least_entropy_and_buckets_are_cumulative() -> None:
    frame = pl.DataFrame({"id": list("dcba"), "entropy": [0.1, 0.9, 0.5, 0.5]})
    assert easiest(frame, 0.5)["id"].to_list() == ["a", "d"]
    assert set(easiest(frame, 0.5)["id"]) < set(easiest(frame, 0.75)["id"])
    assert easiest(frame, 1.0)["id"].to_list() == list("abcd")
