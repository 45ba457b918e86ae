"""Adapters: the base stays as it is, and what is saved comes back."""

import json
from pathlib import Path

import pytest
import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from akd.errors import InputError
from akd.models import adapters
from akd.models.load import load_model
from akd.specs.adapters import LoraAdapter, Quantization
from tests.conftest import tiny_model

LORA = LoraAdapter(kind="lora", r=4, alpha=8, dropout=0.0, targets="all-linear")
TOKENS = torch.arange(2, 22).reshape(2, 10)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """The empty start that the models stage writes."""
    adapters.write_empty(tmp_path / "student")
    return tmp_path / "student"


def _train_a_little(model: torch.nn.Module) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        model(input_ids=TOKENS, labels=TOKENS).loss.backward()
        optimizer.step()


def test_a_new_adapter_changes_nothing_and_training_leaves_the_base(
    model: PreTrainedModel, empty: Path
) -> None:
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with torch.no_grad():
        expected = model(TOKENS).logits
    adapted = adapters.attach(model, LORA, empty, train=True)
    torch.testing.assert_close(adapted(TOKENS).logits, expected)
    _train_a_little(adapted)
    assert not torch.allclose(adapted(TOKENS).logits, expected)
    with adapted.disable_adapter(), torch.no_grad():
        torch.testing.assert_close(adapted(TOKENS).logits, expected)
    after = {
        n.replace("base_model.model.", "").replace("base_layer.", ""): w
        for n, w in adapted.state_dict().items()
        if "lora_" not in n
    }
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_saved_adapter_has_equal_bytes_and_comes_back(tmp_path: Path, empty: Path) -> None:
    adapted = adapters.attach(tiny_model("llama"), LORA, empty, train=True)
    _train_a_little(adapted)
    for name in ("one", "two"):
        adapters.save(adapted, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["adapter_config.json", "adapter_model.safetensors"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    config = json.loads((tmp_path / "one" / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(config["target_modules"])
    assert str(tmp_path) not in json.dumps(config)
    again = adapters.load(tiny_model("llama"), tmp_path / "one")
    with torch.no_grad():
        torch.testing.assert_close(again(TOKENS).logits, adapted(TOKENS).logits)
    trainable, total = adapters.trainable_share(adapted)
    assert 0 < trainable < total


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no adapter"):
        adapters.load(tiny_model("llama"), tmp_path)


def test_a_student_in_nf4_trains_its_adapter(tmp_path: Path, empty: Path) -> None:
    tiny_model("llama", width=64).save_pretrained(tmp_path / "base")  # NF4 blocks are 64 long
    model = load_model(tmp_path / "base", Quantization(kind="nf4")).train()
    assert isinstance(model.config.quantization_config, BitsAndBytesConfig)
    layer = model.model.layers[0].mlp.up_proj
    assert layer.weight.dtype == torch.uint8
    packed = layer.weight.clone()
    adapted = adapters.attach(model, LORA, empty, train=True)
    _train_a_little(adapted)
    weights = adapted.get_base_model().model.layers[0].mlp.up_proj
    assert torch.equal(weights.base_layer.weight, packed)
    assert weights.lora_B["default"].weight.abs().sum() > 0
    with torch.no_grad():
        assert torch.isfinite(adapted.eval()(TOKENS).logits).all()
