"""Loading: what pads a text, and where a process computes."""

import copy
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from akd.errors import InputError
from akd.models.load import device, load_tokenizer


def test_a_pad_token_without_a_row_in_the_model_gives_way_to_the_end_token(
    tmp_path: Path, llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    rows, longer = llama.config.vocab_size, copy.deepcopy(tokenizer)
    longer.add_tokens([f"new-{number}" for number in range(rows - len(longer))])
    longer.add_special_tokens({"pad_token": "[BEHIND]"})
    llama.save_pretrained(tmp_path)
    longer.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert longer.pad_token_id == rows
    assert loaded.pad_token_id == loaded.eos_token_id == tokenizer.eos_token_id


def test_a_tokenizer_that_has_nothing_to_pad_with_is_refused(
    tmp_path: Path, llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    endless = copy.deepcopy(tokenizer)
    endless.pad_token = endless.eos_token = None
    llama.save_pretrained(tmp_path)
    endless.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="neither a token to pad with nor one that ends a text"):
        load_tokenizer(tmp_path)


def test_a_launch_on_the_cpu_leaves_the_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert device() == torch.device("cuda", 1)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert device() == torch.device("cpu")
