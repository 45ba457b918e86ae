"""Activations: the count is what autograd saves, and what is not counted is little."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Qwen3Config

from akd.planning.activations import saved_per_token
from akd.planning.inventory import measure
from akd.planning.training import adapted
from tests.conftest import adapter_spec, tiny_model

TEXTS, LENGTH, RANK, LAYERS = 2, 50, 4, 6
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def _model(family: str) -> torch.nn.Module:
    if family != "qwen3":
        return tiny_model(family, layers=LAYERS, width=64)
    size = {"hidden_size": 64, "intermediate_size": 224, "head_dim": 32, "vocab_size": 512}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    return AutoModelForCausalLM.from_config(Qwen3Config(num_hidden_layers=LAYERS, **size, **heads))


def _saved(model: torch.nn.Module, base: torch.nn.Module) -> int:
    """Return the bytes of all storages that a forward pass saves, weights and buffers aside."""
    own = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        base(torch.randint(2, 512, (TEXTS, LENGTH)), use_cache=False)
    return sum(t.untyped_storage().nbytes() for place, t in kept.items() if place not in own)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("family", ["llama", "opt", "gpt2", "qwen3"])
def test_the_count_under_an_adapter(family: str, dtype: str, dropout: float) -> None:
    plain = _model(family).to(DTYPES[dtype])
    inventory = measure(plain.config)
    spec = adapter_spec(r=RANK, dropout=dropout)
    model = get_peft_model(
        plain, LoraConfig(r=RANK, lora_dropout=dropout, target_modules="all-linear")
    ).train()
    size, layers = DTYPES[dtype].itemsize, adapted(inventory, spec)
    counted = saved_per_token(
        inventory, size, LENGTH, layers=LAYERS, adapted=layers, r=RANK, dropout=dropout
    )
    assert counted * TEXTS * LENGTH == pytest.approx(_saved(model, plain.base_model), rel=0.03)


@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("family", ["llama", "opt", "gpt2", "qwen3"])
def test_the_count_with_every_weight_trained(family: str, dtype: str) -> None:
    model = _model(family).to(DTYPES[dtype]).train()
    size = DTYPES[dtype].itemsize
    counted = saved_per_token(
        measure(model.config), size, LENGTH, layers=LAYERS, adapted=None, r=RANK, dropout=0.0
    )
    assert counted * TEXTS * LENGTH == pytest.approx(_saved(model, model.base_model), rel=0.03)
