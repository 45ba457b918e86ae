"""Where an adapter sits: names of modules in the blocks of a model, for every architecture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from akd.errors import InputError
from akd.models.architecture import transformer_blocks


@dataclass(frozen=True)
class BlockLinears:
    """Names of the linear layers of one block, in the order in which the model has them."""

    attention: Sequence[str]
    mlp: Sequence[str]


def linears(model: PreTrainedModel, first: int) -> list[BlockLinears]:
    """Return the linear layers of each block from `first` on.

    Raises:
        InputError: if a block has no attention or no linear layer beside it.
    """
    found = []
    for prefix, block in _blocks(model, first).items():
        modules = dict(block.named_modules())
        inside = next(
            (n for n, m in modules.items() if "attention" in type(m).__name__.lower()), ""
        )
        names = [n for n, m in modules.items() if isinstance(m, (nn.Linear, Conv1D))]
        attention = [f"{prefix}.{n}" for n in names if inside and n.startswith(f"{inside}.")]
        mlp = [f"{prefix}.{n}" for n in names if f"{prefix}.{n}" not in attention]
        if not attention or not mlp:
            raise InputError(
                f"{type(model).__name__} has no linear layers in an attention and beside it: "
                "use another model, or the adapter full"
            )
        found.append(BlockLinears(attention, mlp))
    return found


def chosen_linears(
    model: PreTrainedModel, targets: Literal["all-linear", "attention"] | Sequence[str], first: int
) -> list[str]:
    """Return the linear layers that `adapter.targets` means.

    Raises:
        InputError: if a target is the end of no name; the error lists the names that exist.
    """
    blocks = linears(model, first)
    everywhere = [name for block in blocks for name in (*block.attention, *block.mlp)]
    if targets == "all-linear":
        return everywhere
    if targets == "attention":
        return [name for block in blocks for name in block.attention]
    unknown = [target for target in targets if not _ending(everywhere, [target])]
    if unknown:
        known = ", ".join(sorted({name.rpartition(".")[2] for name in everywhere}))
        raise InputError(
            f"adapter.targets: the student has no linear layer {', '.join(unknown)}: use some of "
            f"{known}"
        )
    return _ending(everywhere, list(targets))


def outputs(model: PreTrainedModel, first: int) -> list[str]:
    """Return of each block from `first` on the linear layers that end its attention and its MLP.

    Raises:
        InputError: if none of them is as wide as the model.
    """
    width, found = model.config.hidden_size, []
    for block in linears(model, first):
        for names in (block.attention, block.mlp):
            wide = [name for name in names if _width(model.get_submodule(name)) == width]
            if not wide:
                raise InputError(
                    f"adapter series: {names[-1]} and its like are not as wide as the model: "
                    "choose another adapter"
                )
            found.append(wide[-1])  # a fused one for queries, keys and values may stand behind it
    return found


def ending(model: PreTrainedModel, endings: Sequence[str], first: int) -> list[str]:
    """Return the linear layers from `first` on whose names end so."""
    blocks = linears(model, first)
    return _ending([n for block in blocks for n in (*block.attention, *block.mlp)], endings)


def owners(model: PreTrainedModel, first: int, *, biases: bool) -> list[str]:
    """Return the modules that have parameters of their own.

    Args:
        first: the lowest block looked into; 0 means embeddings, last norm and head as well.
        biases: those that have a bias alone.

    Raises:
        InputError: if one lies within another one, which PEFT cannot wrap both.
    """
    inside = tuple(f"{prefix}." for prefix in _blocks(model, first))
    found = [
        name
        for name, module in model.named_modules()
        if (first == 0 or name.startswith(inside))
        and any(p == "bias" or not biases for p, _ in module.named_parameters(recurse=False))
    ]
    for outer in found:
        if any(name.startswith(f"{outer}.") for name in found):
            raise InputError(
                f"{outer} of {type(model).__name__} has weights beside modules with weights, which "
                "the adapters full and bitfit cannot train: choose another adapter or model"
            )
    return found


def _blocks(model: PreTrainedModel, first: int) -> dict[str, nn.Module]:
    blocks = list(transformer_blocks(model))
    names = {module: name for name, module in model.named_modules()}
    return {names[block]: block for block in blocks[first:]}


def _ending(names: Sequence[str], endings: Sequence[str]) -> list[str]:
    return [name for name in names if name.endswith(tuple(f".{end}" for end in endings))]


def _width(linear: nn.Module) -> int:
    width = linear.nf if isinstance(linear, Conv1D) else linear.out_features
    return int(width)  # type: ignore[arg-type]
