"""What an adapter trains, counted from an inventory alone; `akd.models.adapters` builds it."""

import re
from typing import assert_never

from akd.errors import InputError
from akd.planning.inventory import Group, Inventory
from akd.specs.adapters import Adapter

_ATTENTION = re.compile(r"\.\w*att(n|ention)\w*\.")


def trainable_parameters(inventory: Inventory, adapter: Adapter) -> int:
    """Return how many parameters an adapter trains on a student.

    Raises:
        InputError: if the student cannot have such an adapter.
    """
    blocks = _blocks(inventory, adapter)
    shape = inventory.shape
    match adapter.kind:
        case "lora" | "dora":
            magnitudes = int(adapter.kind == "dora")
            return sum(
                g.count * (adapter.r * (g.inputs + g.outputs) + magnitudes * g.outputs)
                for g in adapted(inventory, adapter)
            )
        case "series":
            ends = adapted(inventory, adapter)
            return sum(g.count * (2 * adapter.r * g.inputs + adapter.r + g.inputs) for g in ends)
        case "ia3":
            return sum(g.count * g.inputs for g in adapted(inventory, adapter))
        case "bitfit":
            biases = sum(g.count * g.biases for g in _anywhere(inventory, blocks, adapter))
            if not biases:
                raise InputError("adapter bitfit: the student has no biases: choose another one")
            return biases
        case "full":
            return sum(g.parameters for g in _anywhere(inventory, blocks, adapter))
        case "prompt":
            return adapter.tokens * shape.width
        case "prefix":
            return adapter.tokens * 2 * shape.layers * shape.key
        case _:
            assert_never(adapter.kind)


def adapted(inventory: Inventory, adapter: Adapter) -> list[Group]:
    """Return what an adapter reads, as groups whose `inputs` are as wide as that.

    For lora and dora these are linear layers; for series and ia3 the widths at which they stand.
    Other kinds read nothing beside the model.

    Raises:
        InputError: if a target is the end of no name, or PEFT knows no ia3 for the student.
    """
    inside = [g for g in _blocks(inventory, adapter) if g.kind == "linear"]
    attention = [g for g in inside if _ATTENTION.search(g.name)]
    match adapter.kind:
        case "lora" | "dora":
            return _targets(inside, attention, adapter)
        case "series":
            last = [attention[-1], [g for g in inside if g not in attention][-1]]
            return [g.model_copy(update={"inputs": g.outputs}) for g in last]
        case "ia3":
            return _scaled(inventory, inside)
        case "bitfit" | "full" | "prompt" | "prefix":
            return []
        case _:
            assert_never(adapter.kind)


def _targets(inside: list[Group], attention: list[Group], adapter: Adapter) -> list[Group]:
    match adapter.targets:
        case "all-linear":
            return inside
        case "attention":
            return attention
        case targets:
            unknown = [t for t in targets if not any(g.name.endswith(f".{t}") for g in inside)]
            if unknown:
                known = ", ".join(sorted({g.name.rpartition(".")[2] for g in inside}))
                raise InputError(
                    f"adapter.targets: the student has no linear layer {', '.join(unknown)}: use "
                    f"some of {known}"
                )
            return [g for g in inside if g.name.endswith(tuple(f".{t}" for t in targets))]


def _scaled(inventory: Inventory, inside: list[Group]) -> list[Group]:
    """Return what ia3 scales: outputs, and inputs of what PEFT calls feedforward modules."""
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING as INNER
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as TARGETS

    family = inventory.shape.family
    if family not in TARGETS:
        raise InputError(
            f"adapter ia3: PEFT does not say which layers of a {family} model it scales: choose "
            "another adapter"
        )
    inner, targets = (tuple(f".{end}" for end in known[family]) for known in (INNER, TARGETS))
    return [
        g if g.name.endswith(inner) else g.model_copy(update={"inputs": g.outputs})
        for g in inside
        if g.name.endswith(targets)
    ]


def _anywhere(inventory: Inventory, blocks: list[Group], adapter: Adapter) -> list[Group]:
    """Return all modules, or those of the blocks alone where the first ones stay as they are."""
    return blocks if adapter.first_block(inventory.shape.layers) else inventory.groups


def _blocks(inventory: Inventory, adapter: Adapter) -> list[Group]:
    """Return the modules of the blocks that may hold anything trainable.

    Raises:
        InputError: if which ones stay would have to be known.
    """
    depth = inventory.shape.layers
    first = adapter.first_block(depth)
    inside = [group for group in inventory.groups if "*" in group.name]
    if first and any(group.count != depth for group in inside):
        raise InputError("the student's blocks differ in size: plan with adapter.frozen_share: 0")
    return [g.model_copy(update={"count": g.count - first}) for g in inside]
