"""Adapters and quantisation of the student (`adapter`, `quantization` of params.yaml)."""

from typing import Annotated, Literal

from pydantic import Field

from akd.specs.base import Frozen, Positive


class LoraAdapter(Frozen):
    """LoRA (Hu et al. 2022) on the named linear layers, or on `all-linear`."""

    kind: Literal["lora"]
    r: Positive
    alpha: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    targets: Literal["all-linear"] | list[str]


class Quantization(Frozen):
    """`nf4`: the student's linear layers in 4-bit NormalFloat, double quantised (QLoRA)."""

    kind: Literal["none", "nf4"]
