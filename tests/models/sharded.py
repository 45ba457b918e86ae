"""A student in NF4 whose blocks are sharded over the processes that run this: `FOLDER STATES`."""

import sys
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard

from akd.models import adapters
from akd.models.architecture import transformer_blocks
from akd.models.load import load_model
from akd.models.student import final_states
from akd.specs.adapters import Quantization
from tests.conftest import adapter_spec

TOKENS = torch.arange(2, 22).reshape(2, 10)


def adapted(folder: Path) -> Any:
    """Return the student of `folder`/base with a new adapter."""
    torch.manual_seed(3)
    model = load_model(folder / "base", Quantization(kind="nf4"))
    return adapters.attach(model, adapter_spec(), folder / "student", train=True)


def main(folder: Path, states: Path) -> None:
    """Write the final states that the shards give together, and those of a whole student."""
    dist.init_process_group("gloo")
    student = adapted(folder)
    for block in transformer_blocks(student.get_base_model()):
        fully_shard(block)
    found = final_states(student, TOKENS)
    found.square().mean().backward()
    local = [weight for weight in student.parameters() if weight.requires_grad]
    halves = [cast(Any, weight).to_local().numel() * 2 == weight.numel() for weight in local]
    learnt = [weight.grad is not None for weight in local]
    if dist.get_rank() == 0:
        torch.save((found.detach(), all(halves), all(learnt)), states)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
