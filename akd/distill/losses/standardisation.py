"""Standardised hidden states: a few dimensions and layers are larger than all others together."""

import torch
from torch import nn

_SMALLEST = 1e-6  # a spread below it is that of states which do not differ


class Standardisation(nn.Module):
    """Shifts and scales states to mean 0 and variance 1 in each dimension.

    Args:
        center, spread: of the states, in the shape of one of them.
    """

    def __init__(self, center: torch.Tensor, spread: torch.Tensor) -> None:
        super().__init__()
        self.center: torch.Tensor
        self.spread: torch.Tensor
        self.register_buffer("center", center)
        self.register_buffer("spread", spread)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return standardised states (batch, ...), in float32."""
        return (states.float() - self.center) / self.spread


def standardisation_of(states: torch.Tensor) -> Standardisation:
    """Return what standardises these states (n, ...) over their first dimension."""
    values = states.detach().float()
    return Standardisation(values.mean(dim=0), values.std(dim=0, unbiased=False) + _SMALLEST)
