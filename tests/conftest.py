"""What many tests share: tiny random models of real architectures, a tokenizer, small tables."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read by the library as it is imported
if "PYTEST_XDIST_WORKER" in os.environ:  # one core each, for the stages that it starts, too
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from akd.prompts.template import Prompt
from akd.records import ARTICLE, CLEAN
from akd.specs.adapters import Adapter

if TYPE_CHECKING:
    from tests.teacher.completion_server import CompletionServer

ROOT = Path(__file__).parent.parent
FAMILIES = ("llama", "opt", "gpt2", "qwen3", "gemma2", "gemma3")
"""SmolLM is a LLaMA with tied embeddings, as are the models of Gemma."""

SENTENCES = [
    "The storm flooded the town and hundreds of people left their homes before the night.",
    "Officials warn that prices could rise and ask families to be careful with water.",
    "The festival opened with music and the team won the match in front of a happy crowd.",
    "A fire burned near the harbour while rescue teams searched for missing workers.",
    "The company said profit grew and it will open new shops in spring.",
]

PROMPT = Prompt(
    chat=False,
    system="",
    instruction="",
    article="News: ",
    cue="\nThis is",
    words=("danger", "advice", "harmless"),
    order=(0, 1, 2),
    demonstrations=(),
)


@pytest.fixture(autouse=True)
def resume_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep finished work (`.akd`) of a test from every other one."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE trained on a few sentences, with a chat template."""
    bpe = Tokenizer(BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=500,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    words = ["danger", "advice", "harmless", "good", "bad"]
    words += ["Business", "Entertainment", "Politics", "Sports", "Technology"]
    bpe.train_from_iterator([*SENTENCES, *(f" {word}" * 9 for word in words)], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    fast.chat_template = (
        "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>\n{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
    )
    return fast


def tiny_model(family: str, layers: int = 3, seed: int = 0, width: int = 32) -> PreTrainedModel:
    """Return a random model of a real architecture class, its vocabulary padded to 512."""
    torch.manual_seed(seed)
    # Weights ten times as large as usual, so that frozen embeddings can tell labels apart.
    std = {"init_std" if family == "opt" else "initializer_range": 0.2}
    shared = {"vocab_size": 512, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1, **std}
    if family == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(n_embd=width, n_layer=layers, n_head=4, n_positions=256, **shared)
        ).eval()
    shared |= {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": 4}
    shared |= {"max_position_embeddings": 256}
    if family == "opt":
        config = OPTConfig(ffn_dim=2 * width, word_embed_proj_dim=width, **shared)
        return OPTForCausalLM(config).eval()
    shared |= {"num_key_value_heads": 2, "intermediate_size": 2 * width}
    # In these heads are not a share of the width, and Gemma's odd blocks see a window alone.
    wide = {"head_dim": width // 2, **shared}
    windows = ["full_attention", "sliding_attention"] * layers
    gemma = {"sliding_window": 8, "layer_types": windows[:layers], **wide}
    gemma |= {"query_pre_attn_scalar": width // 2}
    match family:
        case "llama":
            model = LlamaForCausalLM(LlamaConfig(**shared))
        case "qwen3":
            model = Qwen3ForCausalLM(Qwen3Config(**wide))
        case "gemma2":
            model = Gemma2ForCausalLM(Gemma2Config(**gemma))
        case "gemma3":
            model = Gemma3ForCausalLM(Gemma3TextConfig(**gemma))
    return model.eval()


def adapter_spec(**changes: object) -> Adapter:
    """Return a small LoRA, or what the changes make of it."""
    small: dict[str, object] = {"kind": "lora", "r": 4, "alpha": 8, "dropout": 0.0}
    small |= {"targets": "all-linear", "tokens": 5, "frozen_share": 0.0}
    return Adapter.model_validate({**small, **changes})


def make_wordy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Let a random model write nothing but words and ends of sentences, these often."""
    weight = model.get_output_embeddings().weight.data
    for token in range(len(weight)):
        text = tokenizer.decode([token])
        if text in (".", "!", "?"):
            weight[token] *= 2
        elif not (text.isascii() and text.strip().isalpha() and len(text) > 2):
            weight[token] = 0


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    """A tiny model of each family in turn."""
    return tiny_model(request.param)


@pytest.fixture
def llama() -> PreTrainedModel:
    """A tiny LLaMA."""
    return tiny_model("llama")


@pytest.fixture
def server(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> Iterator["CompletionServer"]:
    """A server that speaks the completion API of OpenAI, with a tiny LLaMA behind it."""
    from tests.teacher.completion_server import serving  # it takes its prompt from here

    with serving(llama, tokenizer) as running:
        yield running


@pytest.fixture
def teacher_folder(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A tiny LLaMA with its tokenizer, as the models stage writes it."""
    folder = tmp_path / "teacher"
    tiny_model("llama").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def article(key: str, text: str, **fields: str) -> dict[str, str]:
    """Return one row of the article table."""
    empty = dict.fromkeys(ARTICLE.names(), "")
    return {**empty, "id": key, "source": "test", "domain": "news", "text": text, **fields}


def articles(*rows: dict[str, str]) -> pl.DataFrame:
    """Return a table of articles as fetched."""
    return pl.DataFrame(list(rows), schema=ARTICLE)


def clean_articles(*rows: dict[str, str]) -> pl.DataFrame:
    """Return a table of articles as cleaned, all of them English."""
    found = {"language": "en", "language_probability": 1.0, "language_backend": "langdetect"}
    full = [{**found, **row} for row in rows]
    return pl.DataFrame(full, schema=CLEAN)
