"""Adapters of every kind on every family: the base stays as it is, and what is saved comes back."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    GptOssConfig,
    Phi3Config,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2MoeConfig,
)

from akd.errors import InputError
from akd.models import adapters
from akd.models.architecture import transformer_blocks
from akd.models.placement import outputs
from akd.models.student import LabelWordStudent, article_mean, final_states
from tests.conftest import FAMILIES, ROOT, adapter_spec, tiny_model

TOKENS = torch.arange(2, 22).reshape(2, 10)
LENGTHS = torch.tensor([10, 10])
KINDS = ("lora", "dora", "series", "ia3", "bitfit", "prompt", "prefix", "full")
CASES = [
    (family, kind)
    for family in FAMILIES
    for kind in KINDS
    if kind != "bitfit" or family in ("opt", "gpt2")
]

_SMALL = {
    "vocab_size": 512, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 4, "pad_token_id": 1,
}  # fmt: skip


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """The empty start that the models stage writes."""
    adapters.write_empty(tmp_path / "student")
    return tmp_path / "student"


def _states(model: PeftModel) -> torch.Tensor:
    return article_mean(final_states(model, TOKENS), LENGTHS, 1, 1)


def _train_a_little(model: PeftModel) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (_states(model).square().mean() + model(input_ids=TOKENS, labels=TOKENS).loss).backward()
        optimizer.step()


def _trained(model: PreTrainedModel, empty: Path, **changes: object) -> PeftModel:
    torch.manual_seed(3)
    adapted = adapters.attach(model, adapter_spec(**changes), empty, train=True)
    _train_a_little(adapted)
    return adapted.eval()


def _bytes(model: torch.nn.Module) -> list[bytes]:
    """Return the frozen parameters byte by byte: as numbers a NaN differs from itself."""
    frozen = [p for p in model.parameters() if not p.requires_grad]
    return [p.detach().reshape(-1).view(torch.uint8).numpy().tobytes() for p in frozen]


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_an_adapter_trains_beside_its_base_and_comes_back(
    family: str, kind: str, tmp_path: Path, empty: Path
) -> None:
    model = tiny_model(family)
    with torch.no_grad():
        expected = model(TOKENS).logits
    adapted = adapters.attach(model, adapter_spec(kind=kind), empty, train=True)
    if kind not in ("prompt", "prefix"):
        torch.testing.assert_close(adapted(TOKENS).logits, expected)
    base = _bytes(adapted)
    assert base
    _train_a_little(adapted)
    assert _bytes(adapted) == base
    adapters.save(adapted, tmp_path / "saved")
    again = adapters.load(tiny_model(family), tmp_path / "saved")
    assert not any(parameter.requires_grad for parameter in again.parameters())
    with torch.no_grad():
        torch.testing.assert_close(_states(again), _states(adapted))
        torch.testing.assert_close(again(TOKENS).logits, adapted(TOKENS).logits)
        assert not torch.allclose(adapted(TOKENS).logits[:, -10:], expected, atol=1e-3)
        with adapted.disable_adapter():
            torch.testing.assert_close(adapted(TOKENS).logits, expected)
            plain = tiny_model(family).base_model(TOKENS).last_hidden_state[:, 1:-1].mean(1)
            torch.testing.assert_close(_states(adapted), plain)


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_phase_goes_on_from_what_was_saved(kind: str, tmp_path: Path, empty: Path) -> None:
    adapters.save(_trained(tiny_model("opt"), empty, kind=kind), tmp_path / "one")
    spec = adapter_spec(kind=kind)
    on = adapters.attach(tiny_model("opt"), spec, tmp_path / "one", train=True)
    first = adapters.attach(tiny_model("opt"), spec, empty, train=True)
    assert adapters.trainable_share(on) == adapters.trainable_share(first)
    before = _states(on).detach()
    _train_a_little(on)
    adapters.save(on, tmp_path / "two")
    with torch.no_grad():
        assert not torch.equal(_states(on), before)
        again = adapters.load(tiny_model("opt"), tmp_path / "two")
        torch.testing.assert_close(_states(again), _states(on))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_has_equal_bytes_and_no_path(kind: str, tmp_path: Path, empty: Path) -> None:
    for name in ("one", "two"):
        adapters.save(_trained(tiny_model("gpt2"), empty, kind=kind), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["adapter_config.json", "adapter_model.safetensors"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    config = json.loads((tmp_path / "one" / "adapter_config.json").read_text())
    targets = config.get("target_modules", [])
    assert targets == sorted(targets)
    assert str(tmp_path) not in json.dumps(config)


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("llama", "lora"),
        ("llama", "series"),
        ("gpt2", "ia3"),
        ("opt", "bitfit"),
        ("gemma3", "full"),
    ],
)
def test_nothing_is_differentiated_in_frozen_blocks(family: str, kind: str, empty: Path) -> None:
    model = tiny_model(family, layers=3)
    adapted = adapters.attach(model, adapter_spec(kind=kind, frozen_share=0.7), empty, train=True)
    names = [name for name, p in adapted.named_parameters() if p.requires_grad]
    assert names
    assert all(".2." in name for name in names)
    reached: list[bool] = []

    def look(_module: torch.nn.Module, inputs: tuple[torch.Tensor], output: object) -> None:
        states = output[0] if isinstance(output, tuple) else output
        reached.extend([inputs[0].requires_grad, states.requires_grad])

    transformer_blocks(model)[2].register_forward_hook(look)
    _states(adapted)
    assert reached == [False, True]


def test_targets_of_lora(empty: Path) -> None:
    def adapted(targets: object) -> set[str]:
        spec = adapter_spec(targets=targets)
        model = adapters.attach(tiny_model("gpt2"), spec, empty, train=True)
        names = [name for name, p in model.named_parameters() if p.requires_grad]
        return {".".join(name.split(".")[5:7]) for name in names}

    assert adapted("attention") == {"attn.c_attn", "attn.c_proj"}
    assert adapted(["mlp.c_proj"]) == {"mlp.c_proj"}
    every = {"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"}
    assert adapted("all-linear") == every


def test_a_series_adapter_stands_behind_attention_and_mlp(empty: Path) -> None:
    for family, ends in (("llama", "o_proj down_proj"), ("opt", "out_proj fc2")):
        adapted = adapters.attach(
            tiny_model(family), adapter_spec(kind="series"), empty, train=True
        )
        found = {n.split(".series_")[0] for n, _ in adapted.named_parameters() if "series_" in n}
        assert len(found) == 2 * 3
        assert {name.rpartition(".")[2] for name in found} == set(ends.split())


@pytest.mark.parametrize(
    ("config", "ends"),
    [
        (Phi3Config(**_SMALL), ("self_attn.o_proj", "mlp.down_proj")),
        (
            Qwen2MoeConfig(**_SMALL, moe_intermediate_size=16, shared_expert_intermediate_size=16),
            ("self_attn.o_proj", "mlp.shared_expert.down_proj"),
        ),
    ],
)
def test_a_series_adapter_stands_behind_what_ends_a_part_of_a_block(
    config: PreTrainedConfig, ends: tuple[str, str]
) -> None:
    """Of these models other layers are the last that the parts have."""
    model = AutoModelForCausalLM.from_config(config)
    assert outputs(model, 1) == [f"model.layers.{layer}.{end}" for layer in (1, 2) for end in ends]


@pytest.mark.parametrize("kind", ["lora", "series", "bitfit", "full"])
def test_adapters_are_swapped_in_place(kind: str, tmp_path: Path, empty: Path) -> None:
    model = _trained(tiny_model("opt"), empty, kind=kind)
    adapters.save(model, tmp_path / "one")
    _train_a_little(model)
    adapters.save(model, tmp_path / "two")
    swapped = adapters.load(tiny_model("opt"), tmp_path / "one")
    swapped.load_adapter(str(tmp_path / "two"), "other")
    with torch.no_grad():
        first = swapped(TOKENS).logits
        swapped.set_adapter("other")
        torch.testing.assert_close(swapped(TOKENS).logits, model(TOKENS).logits)
        swapped.set_adapter("default")
        torch.testing.assert_close(swapped(TOKENS).logits, first)
        swapped.delete_adapter("default")
        swapped.set_adapter("other")
        torch.testing.assert_close(swapped(TOKENS).logits, model(TOKENS).logits)
    assert not torch.allclose(first, model(TOKENS).logits, atol=1e-3)


@pytest.mark.slow
def test_a_fresh_process_gets_the_same_logits(tmp_path: Path, empty: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path / "base")
    model = _trained(tiny_model("llama"), empty, kind="series", dropout=0.1)
    adapters.save(model, tmp_path / "saved")
    program = (
        "import sys, torch, transformers, akd.models.tuners.series\n"
        "from peft import PeftModel\n"
        "base = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1])\n"
        "model = PeftModel.from_pretrained(base, sys.argv[2]).eval()\n"
        "tokens = torch.arange(2, 22).reshape(2, 10)\n"
        "torch.save(model(tokens).logits.detach(), sys.argv[3])\n"
    )
    paths = [str(tmp_path / name) for name in ("base", "saved", "logits.pt")]
    subprocess.run([sys.executable, "-c", program, *paths], check=True, cwd=ROOT)
    with torch.no_grad():
        assert torch.equal(torch.load(tmp_path / "logits.pt"), model(TOKENS).logits)


def test_full_trains_all_there_is_and_tied_weights_stay_tied(tmp_path: Path, empty: Path) -> None:
    model = tiny_model("gemma3")
    adapted = _trained(model, empty, kind="full")
    whole = tiny_model("gemma3").num_parameters()
    assert adapters.trainable_share(adapted) == (whole, whole)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    adapters.save(adapted, tmp_path / "saved")
    size = (tmp_path / "saved" / "adapter_model.safetensors").stat().st_size
    assert size < 4 * whole + 20_000, "the embeddings are saved once"


def test_padded_rows_of_the_vocabulary_do_not_touch_the_student(
    model: PreTrainedModel, empty: Path
) -> None:
    student = LabelWordStudent(_trained(model, empty), [300, 41])
    with torch.no_grad():
        before = student(TOKENS, LENGTHS).logits
        model.get_output_embeddings().weight[500:] = float("nan")
        assert torch.equal(student(TOKENS, LENGTHS).logits, before)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"targets": ["q_proj", "w1"]}, "no linear layer w1: use some of down_proj, gate_proj, k_"),
        ({"kind": "bitfit"}, "LlamaForCausalLM has no biases to train: choose another"),
    ],
)
def test_an_adapter_that_the_model_cannot_have(
    changes: dict[str, object], told: str, empty: Path
) -> None:
    with pytest.raises(InputError, match=told):
        adapters.attach(tiny_model("llama"), adapter_spec(**changes), empty, train=True)


def test_weights_beside_modules_with_weights_are_refused(empty: Path) -> None:
    config = GptOssConfig(
        vocab_size=512, hidden_size=32, intermediate_size=32, num_hidden_layers=1, head_dim=8,
        num_attention_heads=4, num_key_value_heads=2, num_local_experts=2, num_experts_per_tok=1,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(InputError, match="self_attn of GptOssForCausalLM has weights beside"):
        adapters.attach(model, adapter_spec(kind="full"), empty, train=True)


def test_virtual_tokens_that_leave_no_room(empty: Path) -> None:
    spec = adapter_spec(kind="prompt", tokens=250)
    model = adapters.attach(tiny_model("opt"), spec, empty, train=True)
    with pytest.raises(InputError, match="250 virtual tokens leave no room for 10 in a context of"):
        _states(model)


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no adapter"):
        adapters.load(tiny_model("llama"), tmp_path)
