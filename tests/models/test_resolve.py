"""Every kind of model ends as a folder that loads without a network."""

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    Gemma3Config,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    T5Config,
)

from akd.errors import InputError
from akd.models.load import compute_dtype, load_model, load_teacher
from akd.models.resolve import resolve
from akd.specs.adapters import Quantization
from akd.specs.pairs import HubModel, LocalModel, PrunedModel
from tests.conftest import tiny_model

PLAIN = Quantization(kind="none")


def test_a_local_model_and_a_student_cut_out_of_it(teacher_folder: Path, tmp_path: Path) -> None:
    resolve(LocalModel(kind="local", path=teacher_folder), tmp_path / "t")
    pruned = PrunedModel(kind="pruned", of="teacher", layers=[0, 2])
    for name in ("s", "again"):
        resolve(pruned, tmp_path / name, teacher=tmp_path / "t")
    teacher, _ = load_teacher(tmp_path / "t")
    student = load_model(tmp_path / "s", PLAIN)
    assert student.config.num_hidden_layers == 2
    kept = teacher.model.layers[2].mlp.up_proj.weight
    assert torch.equal(student.model.layers[1].mlp.up_proj.weight, kept.float())
    for file in (tmp_path / "s").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


@pytest.mark.parametrize(
    ("layers", "kept"),
    [
        ({"first": 2}, [0, 1]),
        ({"evenly": 1}, [0]),
        ({"evenly": 3}, [0, 2, 4]),
        ({"evenly": 5}, [0, 1, 2, 3, 4]),
        ([1, 4], [1, 4]),
    ],
)
def test_layers_of_a_pruned_student(
    layers: object, kept: list[int], tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    teacher = tiny_model("gemma3", layers=5)
    teacher.save_pretrained(tmp_path / "t")
    tokenizer.save_pretrained(tmp_path / "t")
    spec = PrunedModel.model_validate({"kind": "pruned", "of": "teacher", "layers": layers})
    resolve(spec, tmp_path / "s", teacher=tmp_path / "t")
    student = AutoModelForCausalLM.from_pretrained(tmp_path / "s")
    for block, layer in zip(student.model.layers, kept, strict=True):
        old = teacher.model.layers[layer]
        assert torch.equal(block.mlp.up_proj.weight, old.mlp.up_proj.weight)
        assert block.self_attn.is_sliding == old.self_attn.is_sliding
    assert student.lm_head.weight is student.model.embed_tokens.weight
    assert torch.equal(student.lm_head.weight, teacher.lm_head.weight)


@pytest.mark.parametrize("layers", [{"first": 4}, {"evenly": 4}, [3]])
def test_more_layers_than_the_teacher_has(
    layers: object, teacher_folder: Path, tmp_path: Path
) -> None:
    spec = PrunedModel.model_validate({"kind": "pruned", "of": "teacher", "layers": layers})
    with pytest.raises(InputError, match="below 3|has 3 layers"):
        resolve(spec, tmp_path / "s", teacher=teacher_folder)
    assert not (tmp_path / "s").exists()


def test_what_is_no_model_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no config.json"):
        resolve(LocalModel(kind="local", path=tmp_path / "empty"), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_model_that_reads_pictures_too_is_refused(tmp_path: Path) -> None:
    Gemma3Config().save_pretrained(tmp_path / "gemma")
    with pytest.raises(InputError, match="a gemma3 is made for more than text"):
        resolve(LocalModel(kind="local", path=tmp_path / "gemma"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("config", [BertConfig(), T5Config()])
def test_a_model_that_reads_both_ways_is_refused(config: PreTrainedConfig, tmp_path: Path) -> None:
    config.save_pretrained(tmp_path / "t")
    with pytest.raises(InputError, match=f"a {config.model_type} does not write from left to"):
        resolve(LocalModel(kind="local", path=tmp_path / "t"), tmp_path / "out")


@pytest.mark.parametrize("config", ["{}", '{"model_type": "nothing"}', "{half of it"])
def test_a_config_of_no_known_model_is_refused(config: str, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "config.json").write_text(config)
    with pytest.raises(InputError, match="config.json describes no model"):
        resolve(LocalModel(kind="local", path=tmp_path / "t"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("family", ["llama", "opt", "gpt2", "gemma2"])
def test_a_model_without_its_tokenizer_is_refused(family: str, tmp_path: Path) -> None:
    tiny_model(family).save_pretrained(tmp_path / "t")
    with pytest.raises(InputError, match="has no tokenizer beside its config.json"):
        resolve(LocalModel(kind="local", path=tmp_path / "t"), tmp_path / "out")


def test_a_model_without_some_of_its_weights_is_refused(
    teacher_folder: Path, tmp_path: Path
) -> None:
    config = json.loads((teacher_folder / "config.json").read_text())
    (teacher_folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 4}))
    resolve(LocalModel(kind="local", path=teacher_folder), tmp_path / "t")
    with pytest.raises(InputError, match=r"t lacks weights .* such as model.layers.3.input_lay"):
        load_model(tmp_path / "t", PLAIN)


@pytest.mark.parametrize("name", ["nobody/nothing", "a/b/c", "./models/mine"])
def test_a_hub_model_out_of_reach_is_one_sentence(name: str, tmp_path: Path) -> None:
    spec = HubModel(kind="hub", id=name, revision="main")
    with pytest.raises(InputError, match=f"{name}@main cannot be downloaded"):
        resolve(spec, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_dtype_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AKD_DTYPE", "bfloat16")
    assert compute_dtype() == torch.bfloat16
    monkeypatch.setenv("AKD_DTYPE", "int3")
    with pytest.raises(InputError, match="AKD_DTYPE is 'int3'"):
        compute_dtype()
    monkeypatch.delenv("AKD_DTYPE")
    assert compute_dtype() in {torch.float32, torch.bfloat16}, "never float16 on a CPU"


@pytest.mark.parametrize("multiplies", [False, True])
def test_a_gpu_that_only_emulates_bfloat16_computes_in_float32(
    multiplies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return multiplies or including_emulation

    monkeypatch.delenv("AKD_DTYPE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert compute_dtype() == (torch.bfloat16 if multiplies else torch.float32)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_model_loads_onto_the_gpu(teacher_folder: Path) -> None:
    model, _ = load_teacher(teacher_folder)
    assert model.device.type == "cuda"
