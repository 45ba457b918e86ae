"""Losses on hidden states: the student's against those that the store holds of the teacher.

The teacher's is its final state at the decision position, the student's that from which its classes
are read: there, or the mean over the article (`distill.readout`). Both are (batch, width), and the
widths may differ. No loss here knows a teacher, and nothing that is fitted here goes into an
adapter.
"""

from typing import Literal, assert_never

import torch
from sklearn.linear_model import RidgeCV
from torch import nn

from akd.distill.losses.standardisation import Standardisation, standardisation_of
from akd.distill.readout import STRENGTHS

FEWEST_FOR_GRAM = 3
"""Articles of a batch that can be more or less alike: two centred states always lie opposite."""
_SMALLEST = 1e-6  # a norm below it is that of states which do not differ


def matching_layer(layer: int, student_layers: int, teacher_layers: int) -> int:
    """Return which block of the teacher a block of the student follows: round(m L_T / L_S).

    The uniform mapping of Patient KD (Sun et al. 2019, "skip"), the last layer among them.

    Args:
        layer: m, the student's block, from 1 to `student_layers`.

    Returns:
        A number from 1 to `teacher_layers`; halves go to the even one.
    """
    return max(1, round(layer * teacher_layers / student_layers))


class Projection(nn.Module):
    """A linear map from states of the student to standardised states of the teacher.

    The regressor of FitNets (Romero et al. 2015, section 2.2). Were the teacher's states not
    standardised, their largest dimensions would decide every cosine and every squared error.

    Args:
        standardise: the teacher's states.
        weight: (teacher width, student width).
        bias: (teacher width,).
    """

    def __init__(
        self, standardise: Standardisation, weight: torch.Tensor, bias: torch.Tensor
    ) -> None:
        super().__init__()
        self.standardise = standardise
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, student_states: torch.Tensor) -> torch.Tensor:
        """Return what the student's states tell of the teacher's, standardised, in float32."""
        return nn.functional.linear(student_states.float(), self.weight, self.bias)


def fit_projection(student_states: torch.Tensor, teacher_states: torch.Tensor) -> Projection:
    """Return the projection that the untrained student's states allow, in closed form.

    A ridge regression (Hoerl and Kennard 1970) on standardised states, its strength chosen by
    generalised cross-validation; frozen or trained afterwards, as the caller likes. Without this
    step the first gradients would teach the adapter to please a random map.

    Args:
        student_states: (n, student width) of n articles.
        teacher_states: (n, teacher width) of the same articles.
    """
    student, teacher = standardisation_of(student_states), standardisation_of(teacher_states)
    ridge = RidgeCV(alphas=STRENGTHS).fit(
        student(student_states.detach()).cpu().numpy(),
        teacher(teacher_states.detach()).cpu().numpy(),
    )
    weight = torch.from_numpy(ridge.coef_).to(student.center) / student.spread
    bias = torch.from_numpy(ridge.intercept_).to(student.center) - weight @ student.center
    return Projection(teacher.to(student_states.device), weight, bias)


def projected_distance(
    projection: Projection,
    student_states: torch.Tensor,
    teacher_states: torch.Tensor,
    distance: Literal["cosine", "mse"],
) -> torch.Tensor:
    """Return how far the projected student is from the standardised teacher.

    Args:
        projection: see `fit_projection`.
        student_states: (batch, student width).
        teacher_states: (batch, teacher width), constants.
        distance: `cosine`: 1 - cos, the mean over the batch, from 0 to 2 (DistilBERT, Sanh et al.
            2019); `mse`: the mean squared error over batch and width (FitNets, eq. 3), in variances
            of the teacher, so that a constant guess has 1.

    Returns:
        A scalar without a unit.
    """
    found: torch.Tensor = projection(student_states)
    wanted: torch.Tensor = projection.standardise(teacher_states.detach())
    match distance:
        case "cosine":
            similarity: torch.Tensor = nn.functional.cosine_similarity(found, wanted, dim=-1)
            return (1 - similarity).mean()
        case "mse":
            return nn.functional.mse_loss(found, wanted)
        case _:
            assert_never(distance)


def gram_distance(student_states: torch.Tensor, teacher_states: torch.Tensor) -> torch.Tensor:
    """Return 1/2 ||G_S - G_T||_F^2: are the articles that are alike for one alike for the other?

    G = K / ||K||_F, K the Gram matrix of the batch's centred states: similarity-preserving
    distillation (Tung and Mori 2019, eq. 4) with the normalisation of linear CKA (Kornblith et al.
    2019, eq. 4), so that the loss is 1 - CKA. It has no parameters, the widths may differ, and
    neither scale nor rotation of the states changes it.

    Args:
        student_states: (batch, student width).
        teacher_states: (batch, teacher width), constants.

    Returns:
        A scalar without a unit, from 0 to 1; 0 for fewer than `FEWEST_FOR_GRAM` articles, whose
        centred states have the same G in every model.
    """
    difference = _gram(student_states) - _gram(teacher_states.detach())
    return difference.square().sum() / 2


def _gram(states: torch.Tensor) -> torch.Tensor:
    centred = states.float() - states.float().mean(dim=0)
    return nn.functional.normalize((centred @ centred.T).flatten(), dim=0, eps=_SMALLEST)
