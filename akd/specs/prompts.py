"""How the prompt is adapted and its scores calibrated (`prompt` of params.yaml)."""

from typing import Annotated, Literal

from pydantic import Field

from akd.specs.base import Frozen, NotNegative, Positive, PositiveFloat, Share


class Calibration(Frozen):
    """From scores to probabilities; `strengths` and `weights` are the candidates of an average."""

    kind: Literal["none", "batch", "shots_probe", "auto"]
    articles: Positive
    layers: list[Share] = Field(min_length=1)
    strengths: list[PositiveFloat] = Field(min_length=1)
    weights: list[NotNegative] = Field(min_length=1)
    temperature: PositiveFloat


class PromptParams(Frozen):
    """The search for the teacher's prompt, and its calibration."""

    shots: Annotated[int, Field(ge=0)]
    unlabelled: Positive
    budget: Positive
    beam: Positive
    mutual_information_weight: NotNegative
    calibration: Calibration
