"""The teacher in vLLM, offline: label tokens alone, and one prefix for all articles.

vLLM 0.33 needs transformers below 5.21, akd one from 5.23, so that pip installs no environment with
both, and akd has no extra of this name. vLLM runs in an environment of its own: install it, then
what the stages prompt, teacher-label and evaluate import, then akd by `pip install --no-deps`; run
these stages there (`dvc repro --single-item`) and the others where akd is at home. Tried with a
stand-in of vLLM's signatures alone.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from transformers import PreTrainedTokenizerBase

from akd.errors import InputError
from akd.models.load import compute_dtype, load_tokenizer
from akd.models.truncation import truncated
from akd.prompts.template import Prompt, label_tokens, render
from akd.records import Scores


class LanguageModel(Protocol):
    """The part of `vllm.LLM` that is used."""

    def generate(
        self, prompts: Sequence[Any], sampling_params: Any, *, use_tqdm: bool
    ) -> Sequence[Any]:
        """Return one `vllm.RequestOutput` for each prompt, in their order."""


def load_vllm(folder: Path) -> tuple[LanguageModel, PreTrainedTokenizerBase]:
    """Load the resolved model of a folder into vLLM, in the dtype of this machine.

    Its context is as long as the memory of the device allows. The keys and values of what all
    prompts begin with are computed once (vLLM's prefix cache).

    Raises:
        InputError: if vLLM is not installed.
    """
    model: LanguageModel = _vllm().LLM(
        model=str(folder),
        dtype=str(compute_dtype()).removeprefix("torch."),
        max_model_len=-1,
        enable_prefix_caching=True,
    )
    return model, load_tokenizer(folder)


def vllm_version() -> str:
    """Return the version of the installed vLLM."""
    return str(_vllm().__version__)


def _vllm() -> ModuleType:
    try:
        return import_module("vllm")
    except ImportError as error:
        raise InputError(
            f"vLLM cannot be imported ({error}): it wants an environment of its own (see "
            "akd/teacher/vllm.py), or choose another `label.engine`"
        ) from None


class VllmTeacher:
    """Scores texts with `vllm.LLM`, which batches them by itself.

    `SamplingParams.logprob_token_ids` (vLLM 0.33) gives log-probabilities over the whole
    vocabulary for the label tokens alone. `prompt_logprobs` would leave the prefix cache unread.

    Args:
        model: a `vllm.LLM` whose `logprobs_mode` is raw_logprobs, as it is by default.
        tokenizer: its tokenizer.
        prompt: what stands around each text.
        text_tokens: how many tokens of a text are read.

    Raises:
        InputError: if vLLM is not installed, or the prompt does not fit the tokenizer.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        prompt: Prompt,
        text_tokens: int,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._before, self._after = render(prompt, tokenizer)
        self._label_tokens = label_tokens(prompt, tokenizer)
        self._text_tokens = text_tokens
        self._sampling = _vllm().SamplingParams(
            max_tokens=1, temperature=0, logprob_token_ids=self._label_tokens
        )

    def score(self, texts: Sequence[str]) -> Scores:
        """Score the texts; decision and states have width 0.

        Raises:
            InputError: if vLLM leaves a label out.
        """
        prompts = [
            {"prompt_token_ids": self._before + tokens + self._after}
            for tokens in truncated(texts, self._tokenizer, self._text_tokens)
        ]
        outputs = self._model.generate(prompts, self._sampling, use_tqdm=False)
        rows = [self._labels(output) for output in outputs]
        return Scores(
            np.array(rows, np.float32).reshape(len(texts), len(self._label_tokens)),
            np.empty((len(texts), 0), np.float32),
            np.empty((len(texts), 0, 0), np.float32),
        )

    def _labels(self, output: Any) -> list[float]:
        """Read a `vllm.RequestOutput`: its first token maps ids to `Logprob` objects."""
        positions = output.outputs[0].logprobs
        found = positions[0] if positions else {}
        if any(token not in found for token in self._label_tokens):
            raise InputError(
                "vLLM gives no log-probability for a label token: install vllm>=0.33, which knows "
                "logprob_token_ids, or choose another `label.engine`"
            )
        return [float(found[token].logprob) for token in self._label_tokens]
