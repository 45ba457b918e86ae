"""Memory of a step: what is counted is what PEFT trains and what bitsandbytes packs."""

from pathlib import Path

import bitsandbytes as bnb
import pytest
import torch
from transformers import PreTrainedModel

from akd.errors import InputError
from akd.models import adapters
from akd.models.load import load_model
from akd.planning.inventory import measure
from akd.planning.memory import footprint, nf4_bytes, trainable_parameters, weight_bytes
from akd.specs.adapters import Adapter, Quantization
from tests.conftest import FAMILIES, adapter_spec, tiny_model


def _lora(targets: object = "all-linear", r: int = 4) -> Adapter:
    return adapter_spec(r=r, targets=targets)


@pytest.mark.parametrize("attention_only", [False, True])
def test_the_trained_parameters_are_those_of_peft(
    model: PreTrainedModel, tmp_path: Path, attention_only: bool
) -> None:
    inside = ["c_attn"] if model.config.model_type == "gpt2" else ["q_proj", "v_proj"]
    spec = _lora(inside if attention_only else "all-linear")
    counted = trainable_parameters(measure(model.config), spec)
    adapters.write_empty(tmp_path)
    adapted = adapters.attach(model, spec, tmp_path, train=True)
    assert (counted, measure(model.config).parameters + counted) == adapters.trainable_share(
        adapted
    )


def test_targets_that_are_not_there_are_refused(llama: PreTrainedModel) -> None:
    with pytest.raises(InputError, match="name some of down_proj, gate_proj, k_proj"):
        trainable_parameters(measure(llama.config), _lora(["c_attn"]))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bytes_in_nf4_are_those_of_bitsandbytes(family: str, tmp_path: Path) -> None:
    tiny_model(family, width=64).save_pretrained(tmp_path / "base")
    adapters.write_empty(tmp_path / "student")
    model = load_model(tmp_path / "base", Quantization(kind="nf4"))
    adapters.attach(model, _lora(), tmp_path / "student", train=True)
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
    adapted = adapters.attach(llama.bfloat16(), _lora(), tmp_path, train=True)
    trained = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained)
    tokens = torch.arange(2, 22).reshape(2, 10)
    adapted(input_ids=tokens, labels=tokens).loss.backward()
    optimizer.step()
    needs = footprint(measure(llama.config), _lora(), "lora", dtype="bfloat16", length=10, batch=2)
    assert needs.adapter == sum(p.nbytes for p in trained)
    assert needs.gradients == sum(p.grad.nbytes for p in trained if p.grad is not None)
    moments = (s[m] for s in optimizer.state.values() for m in ("exp_avg", "exp_avg_sq"))
    assert needs.optimizer == sum(moment.nbytes for moment in moments)


def test_all_weights_in_16_bits_take_12_bytes_each(llama: PreTrainedModel) -> None:
    inventory = measure(llama.config)
    needs = footprint(inventory, _lora(), "full", dtype="bfloat16", length=10, batch=2)
    held = needs.weights + needs.adapter + needs.gradients + needs.optimizer
    assert held == 12 * inventory.parameters
    assert needs.total == held + needs.activations + needs.workspace
