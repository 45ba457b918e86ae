"""What an adapter trains: the count is that of the adapter itself, of every kind and family."""

from pathlib import Path

import pytest
from transformers import PreTrainedModel

from akd.errors import InputError
from akd.models import adapters
from akd.planning.inventory import measure
from akd.planning.training import trainable_parameters
from tests.conftest import adapter_spec, tiny_model

KINDS = ("lora", "dora", "series", "ia3", "bitfit", "full", "prompt", "prefix")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_on_every_family(model: PreTrainedModel, kind: str, tmp_path: Path) -> None:
    spec, inventory = adapter_spec(kind=kind), measure(model.config)
    adapters.write_empty(tmp_path)
    try:
        expected, _ = adapters.trainable_share(adapters.attach(model, spec, tmp_path, train=True))
    except InputError:  # no biases, or no ia3 for this family
        with pytest.raises(InputError, match=f"adapter {kind}"):
            trainable_parameters(inventory, spec)
        return
    assert trainable_parameters(inventory, spec) == expected


@pytest.mark.parametrize("kind", ["lora", "series", "full"])
@pytest.mark.parametrize("targets", ["attention", "all-linear"])
@pytest.mark.parametrize("share", [0.1, 0.7])  # of three blocks none, and two
def test_frozen_blocks_are_not_trained(
    model: PreTrainedModel, kind: str, targets: str, share: float, tmp_path: Path
) -> None:
    spec = adapter_spec(kind=kind, targets=targets, frozen_share=share)
    counted = trainable_parameters(measure(model.config), spec)
    adapters.write_empty(tmp_path)
    adapted = adapters.attach(model, spec, tmp_path, train=True)
    assert counted == adapters.trainable_share(adapted)[0]


def test_named_targets(llama: PreTrainedModel, tmp_path: Path) -> None:
    spec = adapter_spec(targets=["q_proj", "v_proj"])
    counted = trainable_parameters(measure(llama.config), spec)
    adapters.write_empty(tmp_path)
    assert (
        counted == adapters.trainable_share(adapters.attach(llama, spec, tmp_path, train=True))[0]
    )


def test_what_the_student_does_not_have_is_refused() -> None:
    inventory = measure(tiny_model("llama").config)
    with pytest.raises(InputError, match=r"no linear layer c_attn: use some of down_proj"):
        trainable_parameters(inventory, adapter_spec(targets=["q_proj", "c_attn"]))
