"""The teacher: an engine that scores text, and the transformers engine."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from akd.models.load import compute_dtype, device, load_teacher
from akd.models.scoring import TextScorer, filled_rows
from akd.prompts.store import AdaptedPrompt
from akd.prompts.template import Prompt, label_tokens, render
from akd.records import Scores
from akd.teacher.store import ScoreStore, file_hashes, open_store


class Teacher(Protocol):
    """Whatever can score texts under one prompt."""

    def score(self, texts: Sequence[str]) -> Scores:
        """Return the scores of the texts, in their order."""


def transformers_teacher(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    prompt: Prompt,
    text_tokens: int,
    batch_size: int,
    layers: Sequence[int],
) -> Teacher:
    """Return the engine that scores with a local model; see `TextScorer` for the arguments.

    Raises:
        InputError: if the prompt does not fit the tokenizer.
    """
    before, after = render(prompt, tokenizer)
    return TextScorer(
        model,
        tokenizer,
        before=before,
        after=after,
        label_tokens=label_tokens(prompt, tokenizer),
        text_tokens=text_tokens,
        batch_size=batch_size,
        layers=layers,
    )


def adapted_teacher(
    folder: Path, adapted: AdaptedPrompt, *, text_tokens: int, batch_size: int
) -> Teacher:
    """Load the teacher of a folder with its adapted prompt and the states its calibration reads."""
    model, tokenizer = load_teacher(folder)
    return transformers_teacher(
        model,
        tokenizer,
        prompt=adapted.prompt,
        text_tokens=text_tokens,
        batch_size=batch_size,
        layers=adapted.layers,
    )


def adapted_store(
    folder: Path, adapted: AdaptedPrompt, *, text_tokens: int, batch_size: int
) -> ScoreStore:
    """Open the store of what `adapted_teacher` says on this machine.

    The batch size decides nothing, except where every batch is filled up to it.
    """
    return open_store(
        {
            "model": file_hashes(folder, "*"),
            "dtype": str(compute_dtype()),
            "device": device().type,
            "rows": filled_rows(batch_size),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "text_tokens": text_tokens,
            "prompt": adapted.prompt.model_dump(mode="json"),
            "layers": list(adapted.layers),
        }
    )


def prompt_scorer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    text_tokens: int,
    batch_size: int,
) -> Callable[[Prompt, Sequence[str], Sequence[int]], Scores]:
    """Return the function with which a prompt search asks this teacher."""

    def score(prompt: Prompt, texts: Sequence[str], layers: Sequence[int]) -> Scores:
        teacher = transformers_teacher(
            model,
            tokenizer,
            prompt=prompt,
            text_tokens=text_tokens,
            batch_size=batch_size,
            layers=layers,
        )
        return teacher.score(texts)

    return score
