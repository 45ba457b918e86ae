"""Memory of one training step, from an inventory alone.

What is added up: weights, gradients, optimizer states (Rajbhandari et al. 2020, ZeRO, section 3.1),
activations (`akd.planning.activations`) and the workspace of one operation. GB are 10^9 bytes.
"""

import math
from dataclasses import dataclass

from akd.planning.activations import backward_workspace, saved_per_token
from akd.planning.inventory import Inventory
from akd.planning.training import adapted, trainable_parameters
from akd.specs.adapters import Adapter

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_BLOCK, _OUTER_BLOCK = 64, 256  # Dettmers et al. 2023, section 3: weights, then their scales
_TABLES = 4 * 16 + 4 * 256 + 4  # both code books and the mean scale, in float32
_ADAM = 8  # two moments in float32


@dataclass(frozen=True)
class Footprint:
    """Bytes of a training step of one method, and how many parameters it trains."""

    trainable: int
    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    workspace: int

    @property
    def total(self) -> int:
        """All bytes; `trainable` counts parameters and is none of them."""
        parts = (self.weights, self.adapter, self.gradients, self.optimizer)
        return sum(parts) + self.activations + self.workspace


def nf4_bytes(weights: int) -> int:
    """Return the bytes of one matrix in NF4 with double quantisation.

    Half a byte a weight, a scale of one byte for 64 of them, a float32 for 256 scales: 4.127 bits a
    weight, and the code books (Dettmers et al. 2023, QLoRA, section 3).
    """
    scales = math.ceil(weights / _BLOCK)
    return math.ceil(weights / 2) + scales + 4 * math.ceil(scales / _OUTER_BLOCK) + _TABLES


def weight_bytes(
    inventory: Inventory, dtype: str, *, quantised: bool, rest: str = "float32"
) -> int:
    """Return the bytes of a model's weights as they are computed with.

    Args:
        dtype: in which the weights are loaded and multiplied.
        quantised: linear layers in NF4. Embeddings, norms, biases and the output layer stay.
        rest: what these are in then. PEFT's `prepare_model_for_kbit_training` makes those of a
            student float32; a teacher's are in `dtype`.
    """
    if not quantised:
        return inventory.parameters * BYTES[dtype]
    linear = inventory.linear
    packed = sum(group.count * nf4_bytes(group.inputs * group.outputs) for group in linear)
    matrices = sum(group.count * group.inputs * group.outputs for group in linear)
    return packed + (inventory.parameters - matrices) * BYTES[rest]


def footprint(
    inventory: Inventory,
    adapter: Adapter,
    *,
    quantised: bool,
    dtype: str,
    length: int,
    batch: int,
) -> Footprint:
    """Return what a training step needs.

    What is trained is float32 beside the frozen weights, whatever the dtype, and so are its
    gradients and moments. `full` and `bitfit` stand beside the weights that they replace, too; of
    a 16-bit model `full` keeps a rounded copy of all for the backward pass.

    Args:
        quantised: the frozen weights are in NF4, which `full` cannot train.
        dtype: float32, bfloat16 or float16.
        length: tokens of a text, prompt included.
        batch: texts in a step.
    """
    trainable = trainable_parameters(inventory, adapter)
    full = adapter.kind == "full"
    flow = BYTES["float32" if quantised else dtype]
    virtual = adapter.virtual_tokens
    tokens = (length + virtual) * batch
    saved = saved_per_token(
        inventory,
        flow,
        length + virtual,
        layers=inventory.shape.layers - adapter.first_block(inventory.shape.layers),
        adapted=None if full else adapted(inventory, adapter),
        r=0 if adapter.kind == "ia3" else adapter.r,
        dropout=adapter.dropout if adapter.kind in ("lora", "dora", "series") else 0.0,
    )
    rounded = trainable * flow * (full and flow < BYTES["float32"])
    if adapter.kind == "dora":  # the magnitudes are learnt from both results of a layer
        saved += sum(
            2 * BYTES["float32"] * g.count * g.outputs for g in adapted(inventory, adapter)
        )
    return Footprint(
        trainable=trainable,
        weights=weight_bytes(inventory, dtype, quantised=quantised),
        adapter=4 * trainable,
        gradients=4 * trainable,
        optimizer=_ADAM * trainable,
        activations=saved * tokens + rounded,
        workspace=backward_workspace(inventory, flow, tokens, dequantised=BYTES[dtype] * quantised),
    )
