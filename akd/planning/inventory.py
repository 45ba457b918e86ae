"""The inventory of a model: its modules with their sizes, counted without any weight.

It is taken once from the model class itself, built of a config on the meta device. As that costs
seconds of imports, inventories of the shipped models lie beside this file, and a plan needs no
torch.
"""

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from akd.errors import InputError, reason_of
from akd.specs.base import Frozen

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig

_BLOCK = re.compile(r"\.\d+\.")


class Group(Frozen):
    """Modules of one name, the number of the block aside, and of one size.

    Attributes:
        name: path of the module, `*` for the number of its block.
        kind: `linear` is what an adapter and 4-bit quantisation take; `head` the output layer,
            `tied` one that is the input embedding again; `other` norms and positions.
        inputs, outputs: of the matrix; 0 where there is none.
        extra: parameters beside the matrix (bias, norms).
        biases: how many of these are a bias.
        count: how many such modules there are.
    """

    name: str
    kind: Literal["linear", "embedding", "head", "tied", "other"]
    inputs: int
    outputs: int
    extra: int
    biases: int
    count: int

    @property
    def parameters(self) -> int:
        """How many parameters all of them have; a tied head has none of its own."""
        return 0 if self.kind == "tied" else self.count * (self.inputs * self.outputs + self.extra)


class Shape(Frozen):
    """What decides how much a forward pass keeps.

    Attributes:
        family: what transformers calls the architecture.
        layers, width, vocabulary: of the model.
        query, key: width of all query heads, and of all key heads.
        heads, key_heads: how many there are.
        intermediate: width between the two halves of the MLP.
        gated: the MLP multiplies by a gate (LLaMA).
        activation: of the MLP, as the config names it.
        norms: of a block, queries and keys aside; 2, or 4 where results are normalised, too.
        rms: they are RMSNorm, else LayerNorm.
        head_norms: queries and keys are normalised (Qwen3).
        dropout, attention_dropout: probabilities of the base model's own.
        dtype: in which its weights are published.
    """

    family: str
    layers: int
    width: int
    vocabulary: int
    query: int
    key: int
    heads: int
    key_heads: int
    intermediate: int
    gated: bool
    activation: str
    norms: int
    rms: bool
    head_norms: bool
    dropout: float
    attention_dropout: float
    dtype: str


class Inventory(Frozen):
    """All modules of a model and its shape."""

    shape: Shape
    groups: list[Group]

    @property
    def parameters(self) -> int:
        """The number of parameters, each tensor counted once."""
        return sum(group.parameters for group in self.groups)

    @property
    def linear(self) -> list[Group]:
        """The linear layers inside, without the output layer."""
        return [group for group in self.groups if group.kind == "linear"]


def measure(config: "PreTrainedConfig") -> Inventory:
    """Count the modules of the model that a config describes, on the meta device.

    Raises:
        InputError: if transformers has no causal language model for such a config, or it has no
            attention, of which the memory of a step is counted.
    """
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except ValueError as error:
        raise InputError(f"no causal language model has this config ({reason_of(error)})") from None
    if not hasattr(config, "num_attention_heads"):
        kind = config.model_type
        raise InputError(f"a {kind} model has no attention heads: plan with a transformer")
    head, seen = model.get_output_embeddings(), set[int]()
    groups = Counter[Group]()
    for name, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if own:
            tied = all(id(parameter) in seen for parameter in own.values())
            groups[_group(name, module, own, is_head=module is head, tied=tied)] += 1
            seen.update(id(parameter) for parameter in own.values())
    merged = [group.model_copy(update={"count": count}) for group, count in groups.items()]
    return Inventory(shape=_shape(config, merged, model), groups=merged)


def _group(
    name: str, module: "nn.Module", own: dict[str, "nn.Parameter"], *, is_head: bool, tied: bool
) -> Group:
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    kind: Literal["linear", "embedding", "head", "tied", "other"] = "other"
    inputs = outputs = 0
    if isinstance(module, nn.Linear):
        kind, inputs, outputs = "linear", module.in_features, module.out_features
    elif isinstance(module, Conv1D):
        kind, (inputs, outputs) = "linear", tuple(module.weight.shape)
    elif isinstance(module, nn.Embedding):
        kind, (inputs, outputs) = "embedding", tuple(module.weight.shape)
    if is_head:
        kind = "tied" if tied else "head"
    extra = sum(parameter.numel() for parameter in own.values()) - inputs * outputs
    return Group(
        name=_BLOCK.sub(".*.", name),
        kind=kind,
        inputs=inputs,
        outputs=outputs,
        extra=extra,
        biases=own["bias"].numel() if "bias" in own else 0,
        count=1,
    )


def _shape(config: "PreTrainedConfig", groups: list[Group], model: "nn.Module") -> Shape:
    width, heads = config.hidden_size, config.num_attention_heads
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    head = getattr(config, "head_dim", None) or width // heads
    return Shape(
        family=config.model_type,
        layers=config.num_hidden_layers,
        width=width,
        vocabulary=config.vocab_size,
        query=heads * head,
        key=key_heads * head,
        heads=heads,
        key_heads=key_heads,
        intermediate=_first(config, ("intermediate_size", "ffn_dim", "n_inner"), 4 * width),
        gated=any("gate" in group.name for group in groups if group.kind == "linear"),
        activation=_first(config, ("hidden_act", "activation_function"), "gelu"),
        norms=sum("*" in g.name and g.kind == "other" and g.extra >= width for g in groups),
        rms=any("RMSNorm" in type(module).__name__ for module in model.modules()),
        head_norms=any(re.search(r"\.(q|k)_norm$", group.name) for group in groups),
        dropout=_first(config, ("resid_pdrop", "dropout", "hidden_dropout"), 0.0),
        attention_dropout=_first(config, ("attn_pdrop", "attention_dropout"), 0.0),
        dtype=str(config.dtype or "float32").removeprefix("torch."),
    )


def _first(config: "PreTrainedConfig", names: tuple[str, ...], otherwise: Any) -> Any:
    """Return the first of these attributes that is set: the families name one thing differently."""
    found = (getattr(config, name, None) for name in names)
    return next((value for value in found if value is not None), otherwise)


def cut(inventory: Inventory, layers: list[int]) -> Inventory:
    """Return the inventory of a student that keeps these blocks of its teacher.

    Raises:
        InputError: if a block is named twice, out of order, or does not exist, or if the blocks
            differ in size, so that which of them stay would have to be known.
    """
    depth = inventory.shape.layers
    if layers != sorted(set(layers)) or layers[-1] >= depth:
        raise InputError(f"layers {layers}: name each once, rising, below {depth} (the teacher's)")
    inside = [group for group in inventory.groups if "*" in group.name]
    if any(group.count != depth for group in inside):
        raise InputError("the teacher's blocks differ in size: name a `local` student to plan with")
    kept = [
        group.model_copy(update={"count": len(layers)}) if group in inside else group
        for group in inventory.groups
    ]
    shape = inventory.shape.model_copy(update={"layers": len(layers)})
    return Inventory(shape=shape, groups=kept)
