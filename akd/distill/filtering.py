"""TED in a phase (Liang et al. 2023, section 3): stage I before it, the student's filters in it.

Stage I takes place on states that are computed once, so that neither model runs in its epochs. What
it leaves of the teacher are filtered states: its filters are frozen, and so are the states. The
student's filters learn with the student, are in the checkpoints, and are dropped with the phase.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from akd.distill.lessons import TeacherBlocks
from akd.distill.losses.filters import TaskFilter, begin_filter, filter_loss
from akd.distill.losses.hidden import matching_layer
from akd.distill.pupil import Pupil
from akd.models.student import StudentOutput, read_blocks
from akd.specs.distillation import TedParams


class FilteredStudent(nn.Module):
    """A student that also gives the filtered states of some of its blocks.

    Args:
        student: maps tokens and lengths to a `StudentOutput`.
        blocks: of its language model, one for each layer of the filter.
        task_filter: learns with the student.
        before, after: how many tokens stand before and after the article.
    """

    def __init__(
        self,
        student: nn.Module,
        blocks: Sequence[nn.Module],
        task_filter: TaskFilter,
        before: int,
        after: int,
    ) -> None:
        super().__init__()
        self.student = student
        self.task_filter = task_filter
        self._blocks = list(blocks)
        self._around = (before, after)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> StudentOutput:
        """Read right-padded tokens (batch, length) in one forward pass of the student."""
        output, means = read_blocks(self.student, self._blocks, tokens, lengths, *self._around)
        return output._replace(filtered=self.task_filter(means))


@dataclass(frozen=True)
class Filters:
    """What stage I leaves.

    Attributes:
        layers: 1-based numbers of the student's blocks, one for each stored block of the teacher.
        student: its filter, which goes on learning.
        teacher: filtered states of the teacher (n, layers, filtered).
    """

    layers: list[int]
    student: TaskFilter
    teacher: torch.Tensor

    def on(self, pupil: Pupil, student: nn.Module) -> FilteredStudent:
        """Return the pupil's student, read through its filter; the heads no longer learn."""
        self.student.heads.requires_grad_(False)
        task_filter = self.student.to(pupil.language_model.device)
        return FilteredStudent(student, pupil.blocks(self.layers), task_filter, *pupil.around())


def stage_one(
    pupil: Pupil,
    blocks: TeacherBlocks,
    targets: torch.Tensor,
    rows: torch.Tensor,
    spec: TedParams,
    *,
    temperature: float,
    batch_size: int,
    seed: int,
) -> Filters:
    """Learn filters of teacher and student, both as they are, on the CPU.

    Args:
        pupil: before the phase.
        blocks: what is stored of the teacher.
        targets: distribution of the teacher alone, the task of the phase (n, targets).
        rows: of the articles that are learnt from.
    """
    layers = matched_layers(blocks, pupil.depth())
    student, teacher = (
        _learnt(states[rows], targets[rows], spec, temperature, batch_size, seed)
        for states in (pupil.block_means(layers), blocks.means)
    )
    with torch.no_grad():
        return Filters(layers, student, teacher(blocks.means))


def matched_layers(blocks: TeacherBlocks, depth: int) -> list[int]:
    """Return for each stored block of the teacher the block of a student that follows it.

    Not all blocks are stored: of a student with `depth` blocks the one whose `matching_layer` is
    nearest, the lower one of two. Numbers count from 1.
    """
    matches = {m: matching_layer(m, depth, blocks.depth) for m in range(1, depth + 1)}
    return [min(matches, key=lambda m: abs(matches[m] - layer)) for layer in blocks.layers]


def _learnt(
    states: torch.Tensor,
    targets: torch.Tensor,
    spec: TedParams,
    temperature: float,
    batch_size: int,
    seed: int,
) -> TaskFilter:
    """Return a filter that knows the task from these states (n, layers, width)."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        task_filter = begin_filter(states, filtered=spec.filtered, labels=targets.shape[1])
        optimizer = torch.optim.Adam(task_filter.parameters(), lr=spec.learning_rate)
        for _ in range(spec.epochs):
            for rows in torch.split(torch.randperm(len(states)), batch_size):
                optimizer.zero_grad()
                loss = filter_loss(task_filter, states[rows], targets[rows], temperature)
                torch.autograd.backward(loss)
                optimizer.step()
    optimizer.zero_grad()
    return task_filter
