"""How a classifier reads an article: tokens before, the article cut to a length, tokens after."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from peft import PeftModel
from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from akd.errors import InputError
from akd.io import read_json, write_json
from akd.models.student import LabelWordStudent, PooledStudent, Readout
from akd.models.truncation import truncated
from akd.prompts import store
from akd.prompts.template import Prompt, label_tokens, render

FILE = "reading.json"


@dataclass(frozen=True)
class Reading:
    """What a student must be asked, kept beside its adapter so that the folder stands alone.

    Attributes:
        prompt: the student's prompt.
        labels: the label names, in the order of the prompt's words.
        text_tokens: how many tokens of an article are read.
    """

    prompt: Prompt
    labels: Sequence[str]
    text_tokens: int

    def encode(self, texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
        """Return the tokens of each text inside the prompt, the decision position last."""
        before, after = render(self.prompt, tokenizer)
        return [before + tokens + after for tokens in truncated(texts, tokenizer, self.text_tokens)]

    def student(
        self,
        language_model: PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        readout: Readout | None,
    ) -> LabelWordStudent | PooledStudent:
        """Return the language model as a classifier; without a readout its label words are read."""
        if readout is None:
            return LabelWordStudent(language_model, self.label_tokens(tokenizer))
        before, after = self.around(tokenizer)
        return PooledStudent(language_model, before=before, after=after, readout=readout)

    def around(self, tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
        """Return how many tokens stand before and after each article."""
        before, after = render(self.prompt, tokenizer)
        return len(before), len(after)

    def label_tokens(self, tokenizer: PreTrainedTokenizerBase) -> list[int]:
        """Return the token of each label."""
        return label_tokens(self.prompt, tokenizer)


def save_reading(reading: Reading, model: PreTrainedConfig, folder: Path) -> None:
    """Write reading.json into the folder of an adapter of this model."""
    value = {
        "student": _shape(model),
        "prompt": reading.prompt.model_dump(mode="json"),
        "labels": list(reading.labels),
        "text_tokens": reading.text_tokens,
    }
    write_json(folder / FILE, value)


def load_reading(folder: Path) -> Reading:
    """Read reading.json from an adapter's folder.

    Raises:
        InputError: if it is missing.
    """
    raw = read_json(folder / FILE)
    return Reading(Prompt.model_validate(raw["prompt"]), raw["labels"], raw["text_tokens"])


def check_student(folder: Path, model: PreTrainedConfig) -> None:
    """Refuse a model of another kind or size than the one whose adapter lies in the folder.

    Raises:
        InputError: if it is one.
    """
    learnt, given = read_json(folder / FILE).get("student"), _shape(model)
    if learnt != given:
        raise InputError(
            f"the adapter in {folder} is of {_told(learnt)}, and cannot be put on {_told(given)}: "
            "name its own student, or run the phases again (dvc repro)"
        )


def _shape(model: PreTrainedConfig) -> dict[str, Any]:
    return {
        "model_type": model.model_type,
        "layers": model.num_hidden_layers,
        "width": model.hidden_size,
        "vocabulary": model.vocab_size,
    }


def _told(shape: dict[str, Any] | None) -> str:
    if shape is None:
        return "an earlier version"
    return "a {model_type} ({layers} layers, width {width}, {vocabulary} words)".format(**shape)


def reading_of(prompt: Path, student_prompt: Literal["bare", "same"], text_tokens: int) -> Reading:
    """Return how a student is asked: the teacher's prompt, or that without its instruction."""
    adapted = store.load(prompt)
    asked = adapted.prompt.bare() if student_prompt == "bare" else adapted.prompt
    return Reading(asked, adapted.labels, text_tokens)
