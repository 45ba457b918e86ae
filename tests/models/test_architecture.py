"""Parts of a model, for every family."""

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, SmolLM3Config, SmolLM3ForCausalLM

from akd.errors import InputError
from akd.models.architecture import (
    class_logits,
    depth_to_layer,
    describe,
    keep_blocks,
    transformer_blocks,
)
from tests.conftest import FAMILIES, tiny_model

TOKENS = torch.arange(2, 22).reshape(2, 10)


@pytest.mark.parametrize("family", FAMILIES)
def test_keeping_the_first_blocks_is_stopping_early(family: str) -> None:
    whole, cut = tiny_model(family), tiny_model(family)
    keep_blocks(cut, [0, 1])
    with torch.no_grad():
        states = whole.base_model(TOKENS, output_hidden_states=True).hidden_states
        seen: list[torch.Tensor] = []
        handle = transformer_blocks(cut)[-1].register_forward_hook(
            lambda _m, _i, out: seen.append(out[0] if isinstance(out, tuple) else out)
        )
        cut.base_model(TOKENS)
        handle.remove()
    assert len(transformer_blocks(cut)) == cut.config.num_hidden_layers == 2
    torch.testing.assert_close(seen[0], states[2])


def test_what_a_configuration_says_of_each_block_is_cut_with_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4}
    shape |= {"num_key_value_heads": 2, "intermediate_size": 64, "vocab_size": 64}
    model = SmolLM3ForCausalLM(SmolLM3Config(**shape, pad_token_id=0, bos_token_id=1)).eval()
    assert model.config.no_rope_layers == [1, 1, 1, 0]
    keep_blocks(model, [1, 3])
    model.save_pretrained(tmp_path)
    again = SmolLM3ForCausalLM.from_pretrained(tmp_path).eval()
    assert again.config.no_rope_layers == [1, 0]
    with torch.no_grad():
        torch.testing.assert_close(again(TOKENS).logits, model(TOKENS).logits)


def test_a_cut_model_generates_with_its_cache(model: PreTrainedModel) -> None:
    keep_blocks(model, [0, 2])
    with torch.no_grad():
        plain = model(TOKENS).logits[:, -1]
        past = model(TOKENS[:, :6], use_cache=True).past_key_values
        cached = model(TOKENS[:, 6:], past_key_values=past).logits[:, -1]
    torch.testing.assert_close(plain, cached, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("layers", [[0, 0], [1, 0], [0, 3]])
def test_layers_that_do_not_exist_are_refused(layers: list[int]) -> None:
    with pytest.raises(InputError, match="name each once, rising, below 3"):
        keep_blocks(tiny_model("llama"), layers)


def test_class_logits_are_rows_of_the_whole_head(model: PreTrainedModel) -> None:
    labels = torch.tensor([7, 300, 41])
    with torch.no_grad():
        whole = model(TOKENS).logits[:, -1, labels]
        hidden = model.base_model(TOKENS).last_hidden_state[:, -1]
        torch.testing.assert_close(class_logits(model, hidden, labels), whole)


def test_depth_and_description(teacher_folder: Path) -> None:
    assert [depth_to_layer(depth, 30) for depth in (0.01, 0.27, 1.0)] == [1, 8, 30]
    told = describe(teacher_folder)
    assert told["layers"] == 3
    assert told["parameters"] == tiny_model("llama").num_parameters()
