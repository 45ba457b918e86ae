"""Adapters and quantisation of the student (`adapter`, `quantization` of params.yaml)."""

import math
from typing import Annotated, Literal

from pydantic import Field

from akd.specs.base import Frozen, Positive

_ROUNDING = 1e-9  # 0.29 of 100 blocks are 29, and not the 28.999... of binary fractions


class Adapter(Frozen):
    """What of the student is trained; `kind` alone chooses it, and reads the fields it needs.

    - `lora` (Hu et al. 2022), `dora` (Liu et al. 2024): `r`, `alpha`, `dropout`, `targets`.
    - `series` (Houlsby et al. 2019): `r`, the width of the bottleneck, and `dropout`; unlike there,
      layer norms stay as they are.
    - `ia3` (Liu et al. 2022): scales of the layers that PEFT names for each architecture, for some
      of them others than the keys and values of the paper.
    - `bitfit` (Ben Zaken et al. 2022): the biases; `full`: all weights.
    - `prompt` (Lester et al. 2021), `prefix` (Li and Liang 2021, without the network
      behind which they are trained there): `tokens`, how many virtual ones.

    `frozen_share` of the blocks, the lowest ones, hold nothing trainable, and nothing there is
    differentiated. Where that is a block or more, embeddings and head stay as they are. Virtual
    tokens are seen by every block: `prompt` and `prefix` do not read it.
    """

    kind: Literal["lora", "dora", "series", "ia3", "bitfit", "prompt", "prefix", "full"]
    r: Positive
    alpha: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    targets: Literal["all-linear", "attention"] | Annotated[list[str], Field(min_length=1)]
    tokens: Positive
    frozen_share: Annotated[float, Field(ge=0, lt=1)]

    def first_block(self, depth: int) -> int:
        """Return the lowest of `depth` blocks, counted from 0, that holds anything trainable."""
        if self.virtual_tokens:
            return 0
        return math.floor(self.frozen_share * depth + _ROUNDING)

    @property
    def virtual_tokens(self) -> int:
        """How many virtual tokens stand before all others."""
        return self.tokens if self.kind in ("prompt", "prefix") else 0


class Quantization(Frozen):
    """`nf4`: the student's linear layers in 4-bit NormalFloat, double quantised (QLoRA)."""

    kind: Literal["none", "nf4"]
