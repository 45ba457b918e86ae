"""Predictions of a student: class probabilities from its adapter folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from peft import PeftModel
from scipy.special import softmax
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from akd.models import adapters
from akd.models.batching import forward_all
from akd.models.load import load_model, load_tokenizer
from akd.models.scoring import TextScorer
from akd.models.student import READOUT, Readout, load_readout
from akd.prompts.reading import Reading, check_student, load_reading
from akd.prompts.template import label_paths, render
from akd.specs.adapters import Quantization


@dataclass(frozen=True)
class Student:
    """A student with its adapter, its tokenizer, and how it is asked and read."""

    model: PeftModel
    tokenizer: PreTrainedTokenizerBase
    reading: Reading
    readout: Readout | None


def load_student(folder: Path, adapter: Path, quantization: Quantization) -> Student:
    """Load the student of a folder with an adapter.

    Raises:
        InputError: if the folder holds no adapter, or that of another model.
    """
    base, reading = load_model(folder, quantization), load_reading(adapter)
    check_student(adapter, base.config)
    model = adapters.load(base, adapter)
    readout = load_readout(adapter) if (adapter / READOUT).is_file() else None
    return Student(model, load_tokenizer(folder), reading, readout)


def student_probabilities(
    student: Student, texts: Sequence[str], batch_size: int
) -> NDArray[np.float64]:
    """Return class probabilities of the texts (n, labels)."""
    model, tokenizer, reading = student.model, student.tokenizer, student.reading
    if not texts:
        return np.empty((0, len(reading.labels)))
    classifier = reading.student(model, tokenizer, student.readout).to(model.device).eval()
    logits = forward_all(
        lambda tokens, lengths: classifier(tokens, lengths).logits,
        reading.encode(texts, tokenizer),
        batch_size=batch_size,
        pad_token=int(tokenizer.pad_token_id),
        device=model.device,
        description="student",
    )
    return np.asarray(softmax(logits.astype(np.float64), axis=1))


def untaught_probabilities(
    student: Student, texts: Sequence[str], batch_size: int
) -> NDArray[np.float64]:
    """Return what the student's model says without its adapter, by label words (n, labels)."""
    prompt, tokenizer = student.reading.prompt, student.tokenizer
    before, after = render(prompt, tokenizer)
    with student.model.disable_adapter():
        scorer = TextScorer(
            cast(PreTrainedModel, student.model.get_base_model()),
            tokenizer,
            before=before,
            after=after,
            labels=label_paths(prompt, tokenizer),
            text_tokens=student.reading.text_tokens,
            batch_size=batch_size,
            layers=[],
        )
        scores = scorer.score(texts)
    return np.asarray(softmax(scores.log_probabilities.astype(np.float64), axis=1))
