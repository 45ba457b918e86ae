"""Task-aware filters: stage I learns the task alone, stage II moves the student alone."""

import pytest
import torch
from torch import nn

from akd.distill.losses.classes import soft_cross_entropy
from akd.distill.losses.filters import TaskFilter, begin_filter, filter_loss, filtered_distance
from akd.distill.losses.standardisation import Standardisation

LAYERS, LABELS = 2, 3


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def _states(articles: int, width: int) -> torch.Tensor:
    """States whose second layer is a thousand times as large as the first."""
    return torch.randn(articles, LAYERS, width) * torch.tensor([1.0, 1000.0])[:, None] + 4


def _ones() -> TaskFilter:
    """A filter to one dimension whose weights and biases are all 1, on states as they are."""
    task_filter = TaskFilter(
        Standardisation(torch.zeros(1, 2), torch.ones(1, 2)), filtered=1, labels=2
    )
    for parameter in task_filter.parameters():
        nn.init.ones_(parameter)
    return task_filter


def test_filtered_states_and_distance_by_hand() -> None:
    states = torch.tensor([[[1.0, 2.0]], [[0.0, -1.0]]])
    torch.testing.assert_close(_ones()(states), torch.tensor([[[4.0]], [[0.0]]]))
    torch.testing.assert_close(_ones().logits(states), torch.tensor([[[5.0, 5.0]], [[1.0, 1.0]]]))
    found, other = _ones()(states), _ones()(torch.tensor([[[1.0, 3.0]], [[0.0, -1.0]]]))
    assert filtered_distance(found, other).item() == pytest.approx(0.5)
    assert filtered_distance(found, found).item() == 0


def test_the_loss_of_stage_one_is_the_mean_of_the_layers_losses() -> None:
    states, p = _states(6, 5), torch.randn(6, LABELS).softmax(-1)
    task_filter = begin_filter(states, filtered=4, labels=LABELS)
    logits = task_filter.logits(states)
    each = [soft_cross_entropy(logits[:, layer], p, 2.0) for layer in range(LAYERS)]
    torch.testing.assert_close(filter_loss(task_filter, states, p, 2.0), sum(each) / LAYERS)


def test_stage_one_learns_the_task_from_states_of_any_size_and_leaves_models_alone() -> None:
    states = _states(60, 5).requires_grad_()
    p = (3 * states.detach()[:, 0, :LABELS]).softmax(-1)  # the first layer alone knows the task
    task_filter = begin_filter(states, filtered=4, labels=LABELS)
    optimizer = torch.optim.Adam(task_filter.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        filter_loss(task_filter, states, p, 1.0).backward()
        optimizer.step()
    logits = task_filter.logits(states)
    agreement = (logits.argmax(-1) == p.argmax(-1)[:, None]).float().mean(0)
    assert agreement[0] > 0.9 > agreement[1]
    assert states.grad is None


def test_stage_two_moves_the_student_and_never_the_teacher() -> None:
    teacher_states, student_states = _states(6, 5).requires_grad_(), _states(6, 3).requires_grad_()
    teacher = begin_filter(teacher_states, filtered=4, labels=LABELS)
    student = begin_filter(student_states, filtered=4, labels=LABELS)
    filtered_distance(student(student_states), teacher(teacher_states)).backward()
    assert teacher_states.grad is None
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert student_states.grad is not None
    assert (student_states.grad != 0).all()
    assert all(parameter.grad is not None for parameter in student.filters.parameters())
    assert all(parameter.grad is None for parameter in student.heads.parameters())
