"""Losses on hidden states: what they forgive, what they do not, and where they begin."""

import pytest
import torch

from akd.distill.losses.hidden import (
    Projection,
    fit_projection,
    gram_distance,
    matching_layer,
    projected_distance,
)
from akd.distill.losses.standardisation import Standardisation


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def _pair(articles: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    """States of a student, and of a wider teacher that holds linearly what the student holds."""
    student = 3 * torch.randn(articles, 6) + 5
    teacher = student @ torch.randn(6, 10) + 0.01 * torch.randn(articles, 10)
    teacher[:, 0] = 1000 * teacher[:, 0] - 400  # one dimension outgrows all others
    return student, teacher


@pytest.mark.parametrize(
    ("layer", "student", "teacher", "expected"),
    [(8, 8, 30, 30), (1, 8, 30, 4), (4, 8, 30, 15), (3, 12, 12, 3), (1, 12, 4, 1), (2, 4, 6, 3)],
)
def test_a_layer_follows_the_one_at_its_relative_depth(
    layer: int, student: int, teacher: int, expected: int
) -> None:
    assert matching_layer(layer, student, teacher) == expected


@pytest.mark.parametrize("distance", ["cosine", "mse"])
def test_a_fitted_projection_finds_what_is_linear_and_holds_for_other_articles(
    distance: str,
) -> None:
    student, teacher = _pair()
    projection = fit_projection(student[:100], teacher[:100])
    assert projected_distance(projection, student[100:], teacher[100:], distance).item() < 1e-3
    shuffled = teacher[100:].roll(1, dims=0)
    assert projected_distance(projection, student[100:], shuffled, distance).item() > 0.5


def test_more_dimensions_than_articles_do_not_memorise_noise() -> None:
    noise, teacher = torch.randn(80, 120), torch.randn(80, 4)
    projection = fit_projection(noise[:40], teacher[:40])
    least_squares = torch.linalg.lstsq(noise[:40], teacher[:40]).solution
    error = projected_distance(projection, noise[40:], teacher[40:], "mse").item()
    assert error < 1.5
    assert error < (noise[40:] @ least_squares - teacher[40:]).square().mean().item()


def test_distances_by_hand() -> None:
    """Standardised, the teacher is (1, 0) and (0, -1); the student says (0, 1) and (0, -3)."""
    projection = Projection(
        Standardisation(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0])),
        torch.tensor([[0.0], [1.0]]),
        torch.zeros(2),
    )
    student, teacher = torch.tensor([[1.0], [-3.0]]), torch.tensor([[3.0, 2.0], [1.0, -2.0]])
    assert projected_distance(projection, student, teacher, "cosine").item() == pytest.approx(0.5)
    assert projected_distance(projection, student, teacher, "mse").item() == pytest.approx(1.5)


@pytest.mark.parametrize("frozen", [True, False])
def test_gradients_reach_the_student_and_never_the_teacher(frozen: bool) -> None:
    student, teacher = _pair(20)
    projection = fit_projection(student, teacher).requires_grad_(not frozen)
    student.requires_grad_()
    teacher.requires_grad_()
    loss = projected_distance(projection, student, teacher, "cosine")
    (loss + gram_distance(student, teacher)).backward()
    assert student.grad is not None
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None
    assert (projection.weight.grad is None) is frozen


def test_gram_forgives_rotation_scale_and_shift_and_needs_no_common_width() -> None:
    student = torch.randn(8, 6, requires_grad=True)
    rotation = torch.linalg.qr(torch.randn(10, 6)).Q
    teacher = 7 * student.detach() @ rotation.T + 3
    loss = gram_distance(student, teacher)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert student.grad is not None
    assert student.grad.abs().max() < 1e-5


def test_gram_is_one_minus_the_alignment_of_the_centred_products() -> None:
    """States of width 1: the alignment is the squared cosine, here 0 and (1 / 2)^2."""
    student, teacher = torch.tensor([[-1.0], [0.0], [1.0]]), torch.tensor([[-1.0], [2.0], [-1.0]])
    assert gram_distance(student, teacher).item() == pytest.approx(1.0)
    teacher = torch.tensor([[-1.0], [1.0], [0.0]])
    assert gram_distance(student, teacher).item() == pytest.approx(1 - (1 / 2) ** 2)


def test_a_single_article_says_nothing_about_likeness() -> None:
    student = torch.randn(1, 6, requires_grad=True)
    loss = gram_distance(student, torch.randn(1, 4))
    loss.backward()
    assert loss.item() == 0
    assert student.grad is not None
    assert (student.grad == 0).all()


def test_states_stored_in_half_precision_serve_as_well() -> None:
    student, teacher = torch.randn(8, 6), torch.randn(8, 10)
    live, cached = (gram_distance(student, states) for states in (teacher, teacher.half()))
    torch.testing.assert_close(live, cached, rtol=1e-2, atol=1e-4)
    projections = [fit_projection(student, states) for states in (teacher, teacher.half())]
    live, cached = (
        projected_distance(projection, student, states, "mse")
        for projection, states in zip(projections, (teacher, teacher.half()), strict=True)
    )
    torch.testing.assert_close(live, cached, rtol=1e-2, atol=1e-4)
