"""Memory of a step: what is counted is what PEFT trains and what bitsandbytes packs."""

from pathlib import Path

import bitsandbytes as bnb
import pytest
import torch
from transformers import PreTrainedModel

from akd.models import adapters
from akd.models.load import load_model
from akd.planning.inventory import measure
from akd.planning.memory import footprint, nf4_bytes, weight_bytes
from akd.specs.adapters import Quantization
from tests.conftest import FAMILIES, adapter_spec, tiny_model


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bytes_in_nf4_are_those_of_bitsandbytes(family: str, tmp_path: Path) -> None:
    tiny_model(family, width=64).save_pretrained(tmp_path / "base")
    adapters.write_empty(tmp_path / "student")
    model = load_model(tmp_path / "base", Quantization(kind="nf4"))
    adapters.attach(model, adapter_spec(), tmp_path / "student", train=True)
    held = 0
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            continue
        held += parameter.nbytes
        if isinstance(parameter, bnb.nn.Params4bit):
            state = parameter.quant_state
            parts = (state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code)
            held += sum(part.nbytes for part in parts)
    assert weight_bytes(measure(model.config), "bfloat16", quantised=True) == held


def test_nf4_takes_4_127_bits_a_weight() -> None:
    assert 8 * nf4_bytes(4096 * 4096) / 4096**2 == pytest.approx(4 + 8 / 64 + 32 / (64 * 256), 1e-3)


def test_gradients_and_moments_are_those_of_a_step(llama: PreTrainedModel, tmp_path: Path) -> None:
    adapters.write_empty(tmp_path)
    adapted = adapters.attach(llama.bfloat16(), adapter_spec(), tmp_path, train=True)
    trained = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained)
    tokens = torch.arange(2, 22).reshape(2, 10)
    adapted(input_ids=tokens, labels=tokens).loss.backward()
    optimizer.step()
    needs = footprint(
        measure(llama.config), adapter_spec(), quantised=False, dtype="bfloat16", length=10, batch=2
    )
    assert needs.adapter == sum(p.nbytes for p in trained)
    assert needs.gradients == sum(p.grad.nbytes for p in trained if p.grad is not None)
    moments = (s[m] for s in optimizer.state.values() for m in ("exp_avg", "exp_avg_sq"))
    assert needs.optimizer == sum(moment.nbytes for moment in moments)


def test_frozen_blocks_keep_nothing(llama: PreTrainedModel) -> None:
    inventory, sizes = measure(llama.config), {"dtype": "bfloat16", "length": 10, "batch": 2}
    low, high = (
        footprint(inventory, adapter_spec(frozen_share=share), quantised=False, **sizes)
        for share in (0.0, 0.7)
    )
    assert high.activations == low.activations / 3
    assert high.trainable == low.trainable / 3
    assert high.weights == low.weights


def test_all_weights_are_trained_in_float32_beside_the_frozen_ones(llama: PreTrainedModel) -> None:
    inventory, spec = measure(llama.config), adapter_spec(kind="full")
    needs = footprint(inventory, spec, quantised=False, dtype="bfloat16", length=10, batch=2)
    held = needs.weights + needs.adapter + needs.gradients + needs.optimizer
    assert held == (2 + 4 + 4 + 8) * inventory.parameters
    assert needs.total == held + needs.activations + needs.workspace
