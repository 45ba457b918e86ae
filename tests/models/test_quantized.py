"""Students in NF4: adapters train on packed weights, which stay as they are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from bitsandbytes.nn import Params4bit
from peft import PeftModel

from akd.models import adapters
from akd.models.load import load_model
from akd.models.student import article_mean, final_states
from akd.specs.adapters import Quantization
from tests.conftest import FAMILIES, ROOT, adapter_spec, tiny_model
from tests.models.sharded import TOKENS, adapted

NF4 = Quantization(kind="nf4")
OTHER = [("llama", kind) for kind in ("dora", "ia3", "prompt", "prefix")] + [("opt", "bitfit")]
CASES = [(family, kind) for family in FAMILIES for kind in ("lora", "series")] + OTHER


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """The folder of a model whose blocks of 64 weights NF4 can pack, and a kind of adapter."""
    family, kind = request.param
    tiny_model(family, layers=2, width=64).save_pretrained(tmp_path / "base")
    adapters.write_empty(tmp_path / "student")
    return tmp_path / "base", kind


def _states(model: PeftModel) -> torch.Tensor:
    return article_mean(final_states(model, TOKENS), torch.tensor([10, 10]), 1, 1)


def test_a_student_in_nf4_trains_its_adapter(case: tuple[Path, str], tmp_path: Path) -> None:
    folder, kind = case
    model = load_model(folder, NF4)
    packed = [p for p in model.parameters() if isinstance(p, Params4bit)]
    before = [p.detach().view(torch.uint8).clone() for p in packed]
    assert packed
    torch.manual_seed(3)
    adapted = adapters.attach(model, adapter_spec(kind=kind), tmp_path / "student", train=True)
    with torch.inference_mode():  # as the readout of an untrained student is fitted
        first = _states(adapted)
    trainable = [p for p in adapted.train().parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=0.1)
    for _ in range(2):  # what begins at zero has no gradient behind it in the first step
        optimizer.zero_grad()
        _states(adapted).square().mean().backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in trainable)
    now = [p.detach().view(torch.uint8) for p in packed]
    assert all(torch.equal(*pair) for pair in zip(before, now, strict=True))
    adapters.save(adapted.eval(), tmp_path / "saved")
    again = adapters.load(load_model(folder, NF4), tmp_path / "saved")
    with torch.inference_mode():
        assert not torch.allclose(_states(adapted), first)
        torch.testing.assert_close(_states(again), _states(adapted))


def test_packed_weights_can_be_sharded_with_the_others(tmp_path: Path) -> None:
    tiny_model("llama", layers=1, width=64).save_pretrained(tmp_path)
    model = load_model(tmp_path, NF4)
    config = model.config.quantization_config
    assert (config.bnb_4bit_quant_type, config.bnb_4bit_use_double_quant) == ("nf4", True)
    assert config.bnb_4bit_quant_storage == torch.bfloat16
    assert model.model.layers[0].mlp.up_proj.weight.dtype == torch.bfloat16


@pytest.mark.slow
def test_shards_of_packed_blocks_give_the_states_of_a_whole_student(tmp_path: Path) -> None:
    """Each of two processes has half of every adapter's weights, and a gradient for it."""
    tiny_model("llama", layers=2, width=64).save_pretrained(tmp_path / "base")
    adapters.write_empty(tmp_path / "student")
    launched = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [sys.executable, *launched, "-m", "tests.models.sharded"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    states = tmp_path / "states.pt"
    subprocess.run([*command, str(tmp_path), str(states)], cwd=ROOT, env=environment, check=True)
    found, halves, learnt = torch.load(states)
    assert halves
    assert learnt
    torch.testing.assert_close(found, final_states(adapted(tmp_path), TOKENS))


def test_the_shipped_configuration_is_one_that_accelerate_reads() -> None:
    config = load_config_from_file(str(ROOT / "docs" / "accelerate" / "fsdp-qlora.yaml"))
    assert config.distributed_type == "FSDP"
    assert config.fsdp_config["fsdp_version"] == 2, "FSDP1 refuses float32 beside bfloat16"
