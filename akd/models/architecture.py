"""The parts of a causal language model that the method needs, for every architecture."""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from akd.errors import InputError

_OF_EACH_BLOCK = ("layer_types", "mlp_layer_types", "no_rope_layers", "layer_rope_theta")
"""Lists in configurations that say something of each block."""

Inputs = tuple[Any, ...]
Named = dict[str, Any]


def transformer_blocks(model: PreTrainedModel) -> nn.ModuleList:
    """Return the list of transformer blocks (LLaMA `model.layers`, GPT-2 `transformer.h`, ...).

    Raises:
        InputError: if the model has no list of `config.num_hidden_layers` modules.
    """
    depth = model.config.num_hidden_layers
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    raise InputError(f"{type(model).__name__} has no list of {depth} blocks: use another model")


def keep_blocks(model: PreTrainedModel, layers: Sequence[int]) -> None:
    """Cut the model down to the named blocks, in place; embeddings and head stay.

    Raises:
        InputError: if a layer is named twice, out of order, or does not exist.
    """
    blocks = transformer_blocks(model)
    if list(layers) != sorted(set(layers)) or layers[-1] >= len(blocks):
        raise InputError(
            f"layers {list(layers)}: name each once, rising, below {len(blocks)} (the teacher's)"
        )
    kept = [blocks[layer] for layer in layers]
    for position, block in enumerate(kept):
        for module in block.modules():
            if hasattr(module, "layer_idx"):  # where a block keeps its keys and values
                module.layer_idx = position  # type: ignore[assignment]
    blocks._modules = {str(position): block for position, block in enumerate(kept)}
    config = model.config
    for name in _OF_EACH_BLOCK:
        told = getattr(config, name, None)
        if told:
            setattr(config, name, [told[layer] for layer in layers])
    config.num_hidden_layers = len(kept)


@contextmanager
def captured(blocks: Sequence[nn.Module]) -> Iterator[list[torch.Tensor]]:
    """Collect the output of each block during one forward pass, in the order of the pass."""
    outputs: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: object) -> None:
        outputs.append(output[0] if isinstance(output, tuple) else output)  # type: ignore[arg-type]

    handles = [block.register_forward_hook(keep) for block in blocks]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def given(blocks: Sequence[nn.Module], above: nn.Module, states: torch.Tensor) -> Iterator[None]:
    """Let the lowest blocks compute nothing during a forward pass: the one above reads the states.

    Args:
        blocks: all below `above`.
        states: what the last of them would give (batch, length, width).
    """
    before = [block.__dict__.get("forward") for block in blocks]

    def instead(*_inputs: object, **_named: object) -> torch.Tensor:
        return states

    def read(_module: nn.Module, inputs: Inputs, named: Named) -> tuple[Inputs, Named]:
        # Some models unpack what a block gives and some do not: only here it is sure to arrive.
        if inputs:
            return (states, *inputs[1:]), named
        return inputs, {**named, "hidden_states": states}

    handle = above.register_forward_pre_hook(read, with_kwargs=True)
    for block in blocks:
        block.forward = instead
    try:
        yield
    finally:
        handle.remove()
        for block, own in zip(blocks, before, strict=True):
            del block.forward
            if own is not None:
                block.forward = own


def depth_to_layer(depth: float, layers: int) -> int:
    """Return the 1-based number of the block that lies at a relative depth of the model."""
    return max(1, min(layers, round(depth * layers)))


def depths_to_layers(depths: Iterable[float], layers: int) -> list[int]:
    """Return the 1-based numbers of the blocks at relative depths, rising, each once."""
    return sorted({depth_to_layer(depth, layers) for depth in depths})


def class_logits(
    model: PreTrainedModel, hidden: torch.Tensor, label_tokens: torch.Tensor
) -> torch.Tensor:
    """Return the logits of the label tokens alone, never those of the whole vocabulary.

    Args:
        model: the language model whose output embeddings are used.
        hidden: decision-position states (batch, width), after the final norm.
        label_tokens: one token id for each label (labels,).

    Returns:
        Logits (batch, labels) in float32.
    """
    head = model.get_output_embeddings()
    rows = label_tokens.to(head.weight.device)  # a teacher may lie on several devices
    weight = head.weight[rows]
    bias = None if getattr(head, "bias", None) is None else head.bias[rows]
    return finished(model, nn.functional.linear(hidden.to(weight), weight, bias))


def finished(model: PreTrainedModel, logits: torch.Tensor) -> torch.Tensor:
    """Return logits as the model gives them, in float32, from what its head computes.

    Cohere's models and Falcon-H1 multiply it, Granite's divide it, and Gemma 2 bounds it.
    """
    multiplier, divisor, bound = _finish(model.config)
    scaled = logits.float() * multiplier / divisor
    return scaled if bound is None else torch.tanh(scaled / bound) * bound


def head_is_last(config: PretrainedConfig) -> bool:
    """Tell whether a model's logits are what its head computes."""
    return _finish(config) == (1, 1, None)


def _finish(config: PretrainedConfig) -> tuple[float, float, float | None]:
    return (
        getattr(config, "logit_scale", None) or getattr(config, "lm_head_multiplier", None) or 1,
        getattr(config, "logits_scaling", None) or 1,
        getattr(config, "final_logit_softcapping", None),
    )


def keeps_keys_and_values(model: PreTrainedModel) -> bool:
    """Tell whether keys and values of all tokens are all that a model keeps of what it has read.

    Some keep a state in their place, in some blocks or in all, from which no text can branch off.
    """
    kinds = {*(getattr(model.config, "layer_types", None) or ())}
    known = inspect.signature(model.base_model.forward).parameters
    return "past_key_values" in known and kinds <= {"full_attention", "sliding_attention"}


def describe(folder: Path) -> dict[str, int]:
    """Return layers, width, vocabulary and parameters of a resolved model; no weight is read."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return {
        "layers": config.num_hidden_layers,
        "width": config.hidden_size,
        "vocabulary": config.vocab_size,
        "parameters": model.num_parameters(),
    }
