"""Adapters and quantisation of the student (`adapter`, `quantization` of params.yaml)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from akd.specs.base import Frozen, Positive


class Adapter(Frozen):
    """What of the student is trained; `kind` alone chooses it, and reads the fields it needs.

    - `lora` (Hu et al. 2022), `dora` (Liu et al. 2024): `r`, `alpha`, `dropout`, `targets`.
    - `series` (Houlsby et al. 2019): `r`, the width of the bottleneck, and `dropout`.
    - `ia3` (Liu et al. 2022): scales of the layers that the paper names, for each architecture.
    - `bitfit` (Ben Zaken et al. 2022): the biases; `full`: all weights.
    - `prompt` (Lester et al. 2021), `prefix` (Li and Liang 2021): `tokens`, how many virtual ones.

    `first_layer` is the lowest block, counted from 0, that holds anything trainable: below it
    nothing is differentiated. Where it is not 0, embeddings and head stay as they are.
    """

    kind: Literal["lora", "dora", "series", "ia3", "bitfit", "prompt", "prefix", "full"]
    r: Positive
    alpha: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    targets: Literal["all-linear", "attention"] | Annotated[list[str], Field(min_length=1)]
    tokens: Positive
    first_layer: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _virtual_tokens_stand_below_all_blocks(self) -> Self:
        if self.kind in ("prompt", "prefix") and self.first_layer > 0:
            raise ValueError(
                f"virtual tokens of {self.kind!r} are seen by every block: set first_layer to 0"
            )
        return self


class Quantization(Frozen):
    """`nf4`: the student's linear layers in 4-bit NormalFloat, double quantised (QLoRA)."""

    kind: Literal["none", "nf4"]
