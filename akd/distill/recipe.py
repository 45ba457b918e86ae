"""How a phase learns, whatever it learns from."""

from dataclasses import dataclass

from akd.specs.adapters import Adapter
from akd.specs.distillation import DistillParams, OptimizerParams, Phase


@dataclass(frozen=True)
class Recipe:
    """One phase of params.yaml with all that decides how it learns.

    Attributes:
        phase: itself.
        settings: what all phases share.
        adapter: what learns, where the phase begins with none.
        optimizer: which moves it.
        seed: of new weights, orders and draws.
    """

    phase: Phase
    settings: DistillParams
    adapter: Adapter
    optimizer: OptimizerParams
    seed: int
