"""Memory of one training step, from an inventory alone.

What is added up: weights, gradients, optimizer states (Rajbhandari et al. 2020, ZeRO, section 3.1),
activations (`akd.planning.activations`) and the workspace of one operation. GB are 10^9 bytes.
"""

import math
from dataclasses import dataclass
from typing import Literal, assert_never

from akd.errors import InputError
from akd.planning.activations import backward_workspace, saved_per_token
from akd.planning.inventory import Group, Inventory
from akd.specs.adapters import Adapter

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
METHODS: tuple["Method", ...] = ("lora", "qlora", "full")
Method = Literal["lora", "qlora", "full"]
"""`lora` on weights as loaded, `qlora` on weights in NF4, `full` trains every weight."""

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


def weight_bytes(inventory: Inventory, dtype: str, *, quantised: bool) -> int:
    """Return the bytes of a student's weights as they are trained on.

    Args:
        dtype: in which the weights are loaded and multiplied.
        quantised: linear layers in NF4. Embeddings, norms, biases and the output layer stay as they
            are, and are made float32 by PEFT's `prepare_model_for_kbit_training`.
    """
    if not quantised:
        return inventory.parameters * BYTES[dtype]
    linear = inventory.linear
    packed = sum(group.count * nf4_bytes(group.inputs * group.outputs) for group in linear)
    matrices = sum(group.count * group.inputs * group.outputs for group in linear)
    return packed + (inventory.parameters - matrices) * BYTES["float32"]


def adapted(inventory: Inventory, adapter: Adapter) -> list[Group]:
    """Return the linear layers that an adapter changes.

    Raises:
        InputError: if there is none.
    """
    if adapter.targets == "all-linear":
        return inventory.linear
    ends = tuple(f".{target}" for target in adapter.targets)
    found = [group for group in inventory.linear if f".{group.name}".endswith(ends)]
    if not found:
        known = sorted({group.name.rsplit(".", 1)[-1] for group in inventory.linear})
        raise InputError(
            f"adapter.targets {adapter.targets}: the student has none of them, name some of "
            f"{', '.join(known)}"
        )
    return found


def trainable_parameters(inventory: Inventory, adapter: Adapter) -> int:
    """Return the parameters of A (r, inputs) and B (outputs, r) of each layer (Hu et al. 2022)."""
    layers = adapted(inventory, adapter)
    return sum(group.count * adapter.r * (group.inputs + group.outputs) for group in layers)


def footprint(
    inventory: Inventory,
    adapter: Adapter,
    method: Method,
    *,
    dtype: str,
    length: int,
    batch: int,
) -> Footprint:
    """Return what a training step needs.

    An adapter and its gradients are float32 whatever the dtype (PEFT's `autocast_adapter_dtype`).
    Full fine-tuning keeps weights and gradients in `dtype` and moments in float32: 12 bytes a
    parameter in 16 bits, as in table 3 of the paper.

    Args:
        dtype: float32, bfloat16 or float16.
        length: tokens of a text, prompt included.
        batch: texts in a step.
    """
    match method:
        case "lora" | "qlora":
            trainable = trainable_parameters(inventory, adapter)
            extra, gradients = 4 * trainable, 4 * trainable
        case "full":
            trainable, extra = inventory.parameters, 0
            gradients = trainable * BYTES[dtype]
        case _:
            assert_never(method)
    flow = "float32" if method == "qlora" else dtype
    layers = None if method == "full" else adapted(inventory, adapter)
    saved = saved_per_token(
        inventory, BYTES[flow], length, adapted=layers, r=adapter.r, dropout=adapter.dropout
    )
    tokens = length * batch
    return Footprint(
        trainable=trainable,
        weights=weight_bytes(inventory, dtype, quantised=method == "qlora"),
        adapter=extra,
        gradients=gradients,
        optimizer=_ADAM * trainable,
        activations=saved * tokens,
        workspace=backward_workspace(
            inventory, BYTES[flow], tokens, dequantised=BYTES[dtype] * (method == "qlora")
        ),
    )
