"""Optimizer and phases (`optimizer`, `distill` of params.yaml)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from akd.specs.base import Frozen, NotNegative, Positive, PositiveFloat, Share


class OptimizerParams(Frozen):
    """AdamW and its schedule, the same in every phase."""

    learning_rate: PositiveFloat
    schedule: Literal["constant", "linear", "cosine"]
    warmup: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: NotNegative
    max_gradient_norm: PositiveFloat
    batch_size: Positive


class Phase(Frozen):
    """One phase: the adapter it starts from, its targets, and the easiest share of articles."""

    init_from: str
    targets: Literal["coarse", "classes"]
    share: Share
    epochs: Positive
    temperature: PositiveFloat


class DistillParams(Frozen):
    """The phases, from simple to complex."""

    student_prompt: Literal["bare", "same"]
    readout: Literal["pooled", "label_words"]
    final: str
    phases: dict[str, Phase] = Field(min_length=1)

    @model_validator(mode="after")
    def _chained(self) -> Self:
        for name, phase in self.phases.items():
            if phase.init_from not in {"student", *self.phases} or phase.init_from == name:
                raise ValueError(f"{name} starts from the unknown phase {phase.init_from!r}")
        if self.final not in self.phases:
            raise ValueError(f"final is {self.final!r}, which is no phase")
        return self
