"""The vLLM engine: what it asks of `vllm.LLM` and reads of it, with a stand-in of that signature.

The stand-in follows vLLM 0.33: `LLM.generate`, `SamplingParams`, `RequestOutput`, `Logprob`.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from akd.errors import InputError
from akd.models.load import load_teacher
from akd.specs.engines import VllmEngine
from akd.teacher.engine import open_engine
from akd.teacher.transformers import transformers_teacher
from akd.teacher.vllm import VllmTeacher, load_vllm
from tests.conftest import PROMPT, SENTENCES, tiny_model

WORDS = 498  # of the tests' tokenizer; the other rows of a tiny model are padding


@dataclass(frozen=True, kw_only=True)
class SamplingParams:
    """The parameters that could be of use here, with vLLM's defaults."""

    n: int = 1
    temperature: float = 1.0
    max_tokens: int | None = 16
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    logprob_token_ids: list[int] | None = None


@dataclass
class Logprob:
    """As in `vllm.logprobs`."""

    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


@dataclass
class CompletionOutput:
    """As in `vllm.outputs`, the parts that are always there."""

    index: int
    text: str
    token_ids: list[int]
    cumulative_logprob: float | None
    logprobs: list[dict[int, Logprob]] | None


@dataclass
class RequestOutput:
    """As in `vllm.outputs`."""

    request_id: str
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]
    finished: bool = True


@dataclass
class LLM:
    """A tiny model behind the signature of `vllm.LLM.generate`; it knows or leaves out tokens."""

    model: PreTrainedModel
    leaves_out: set[int] = field(default_factory=set)
    calls: int = 0

    def generate(
        self,
        prompts: Sequence[dict[str, list[int]]],
        sampling_params: SamplingParams | None = None,
        *,
        use_tqdm: bool = True,
        lora_request: Any = None,
        priority: int | Sequence[int] | None = None,
        tokenization_kwargs: dict[str, Any] | None = None,
        mm_processor_kwargs: dict[str, Any] | None = None,
    ) -> list[RequestOutput]:
        assert sampling_params is not None
        assert (sampling_params.max_tokens, sampling_params.temperature) == (1, 0)
        assert sampling_params.prompt_logprobs is None  # it would bypass the prefix cache
        assert not use_tqdm
        self.calls += 1
        return [self._answer(prompt["prompt_token_ids"], sampling_params) for prompt in prompts]

    @torch.inference_mode()
    def _answer(self, tokens: list[int], asked: SamplingParams) -> RequestOutput:
        logits = self.model(torch.tensor([tokens])).logits[0, -1, :WORDS].float()
        values = logits.log_softmax(-1)
        sampled = int(values.argmax())
        position = {sampled: Logprob(float(values[sampled]), 1, "x")}
        for rank, token in enumerate(asked.logprob_token_ids or [], start=1):
            position[token] = Logprob(float(values[token]), rank, "x")
        kept = {token: entry for token, entry in position.items() if token not in self.leaves_out}
        output = CompletionOutput(0, "x", [sampled], 0.0, [kept])
        return RequestOutput("0", tokens, [output])


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package `vllm` that holds the stand-ins."""
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, SamplingParams  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", module)
    return module


@pytest.mark.parametrize("chat", [False, True])
def test_it_says_what_the_transformers_engine_says(
    package: ModuleType, llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, chat: bool
) -> None:
    prompt = PROMPT.model_copy(update={"chat": chat, "instruction": "Say {labels}."})
    model = LLM(llama)
    scores = VllmTeacher(model, tokenizer, prompt=prompt, text_tokens=10).score(SENTENCES)
    expected = transformers_teacher(
        llama, tokenizer, prompt=prompt, text_tokens=10, batch_size=2, layers=[]
    ).score(SENTENCES)
    np.testing.assert_allclose(scores.log_probabilities, expected.log_probabilities, atol=1e-4)
    assert scores.decision.shape == (5, 0)
    assert scores.states.shape == (5, 0, 0)
    assert model.calls == 1


def test_nothing_is_asked_for_no_text(
    package: ModuleType, llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    scores = VllmTeacher(LLM(llama), tokenizer, prompt=PROMPT, text_tokens=10).score([])
    assert scores.log_probabilities.shape == (0, 3)


def test_a_label_that_is_left_out_is_not_invented(
    package: ModuleType, llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    token = tokenizer(" advice", add_special_tokens=False).input_ids[0]
    teacher = VllmTeacher(LLM(llama, {token}), tokenizer, prompt=PROMPT, text_tokens=10)
    with pytest.raises(InputError, match=r"install vllm>=0\.33"):
        teacher.score(SENTENCES)


def test_a_folder_is_loaded_in_the_dtype_of_the_machine(
    package: ModuleType, teacher_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AKD_DTYPE", "float32")
    package.LLM = lambda **settings: settings  # type: ignore[attr-defined]
    settings, tokenizer = load_vllm(teacher_folder)
    assert settings == {
        "model": str(teacher_folder),
        "dtype": "float32",
        "max_model_len": -1,
        "enable_prefix_caching": True,
    }
    assert tokenizer.pad_token_id is not None


def test_without_vllm_the_extra_is_named(
    teacher_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(InputError, match="an environment of its own"):
        load_vllm(teacher_folder)


def test_it_is_opened_as_the_engine_of_a_task(
    package: ModuleType, teacher_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AKD_DTYPE", "float32")
    model, tokenizer = load_teacher(teacher_folder)
    package.LLM = lambda **settings: LLM(model)  # type: ignore[attr-defined]
    package.__version__ = "0.33.0"  # type: ignore[attr-defined]
    engine = open_engine(VllmEngine(kind="vllm"), teacher_folder, text_tokens=10, batch_size=2)
    assert (engine.layers, engine.chats, engine.ledger) == (0, (False, True), None)
    expected = transformers_teacher(
        model, tokenizer, prompt=PROMPT, text_tokens=10, batch_size=2, layers=[]
    ).score(SENTENCES)
    found = engine.score(PROMPT, SENTENCES, [])
    np.testing.assert_allclose(found.log_probabilities, expected.log_probabilities, atol=1e-4)
    assert engine.decides()["vllm"] == "0.33.0"
    with pytest.raises(InputError, match="leaves no room for 10 of an article"):
        engine.teacher(PROMPT.model_copy(update={"instruction": "News. " * 250}), [])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_vllm_itself_agrees(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    pytest.importorskip("vllm")
    tiny_model("llama", width=256).save_pretrained(tmp_path)  # heads of 64, which kernels know
    tokenizer.save_pretrained(tmp_path)
    expected = transformers_teacher(
        *load_teacher(tmp_path), prompt=PROMPT, text_tokens=10, batch_size=2, layers=[]
    ).score(SENTENCES)
    scores = VllmTeacher(*load_vllm(tmp_path), prompt=PROMPT, text_tokens=10).score(SENTENCES)
    np.testing.assert_allclose(scores.log_probabilities, expected.log_probabilities, atol=0.2)
