"""The four models of the headline table, each asked about the same texts."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from akd.evaluate.baseline import tfidf_probabilities
from akd.evaluate.metrics import Floats
from akd.evaluate.predict import student_probabilities
from akd.evaluate.resources import folder_mb, rate
from akd.models import adapters
from akd.models.load import load_model, load_teacher, load_tokenizer, training_dtype
from akd.models.scoring import truncated
from akd.params import Quantization
from akd.prompts import store
from akd.prompts.reading import Reading, load_reading
from akd.teacher.engine import transformers_teacher

Resources = dict[str, float]


def load_student(
    folder: Path, adapter: Path, quantization: Quantization
) -> tuple[PeftModel, PreTrainedTokenizerBase, Reading]:
    """Load the student with its adapter, its tokenizer, and how it is to be asked."""
    model = adapters.load(load_model(folder, quantization, training_dtype()), adapter)
    return model, load_tokenizer(folder), load_reading(adapter)


def teacher_probabilities(
    folder: Path,
    prompt: Path,
    texts: Sequence[str],
    *,
    text_tokens: int,
    batch_size: int,
    resources: Resources,
) -> Floats:
    """Return the calibrated probabilities of the teacher (n, labels)."""
    adapted = store.load(prompt)
    model, tokenizer = load_teacher(folder)
    teacher = transformers_teacher(
        model,
        tokenizer,
        prompt=adapted.prompt,
        text_tokens=text_tokens,
        batch_size=batch_size,
        layers=adapted.layers,
    )
    with rate(resources, "teacher_documents_per_second", len(texts)):
        return adapted.calibrator.probabilities(teacher.score(texts))


def student_and_baseline_probabilities(
    folder: Path,
    adapter: Path,
    lessons: pl.DataFrame,
    texts: Sequence[str],
    *,
    quantization: Quantization,
    batch_size: int,
    resources: Resources,
) -> dict[str, Floats]:
    """Return the probabilities of the student, of the student as is, and of TF-IDF.

    TF-IDF learns from the lessons' teacher labels and reads the very words that the student reads.
    """
    model, tokenizer, reading = load_student(folder, adapter, quantization)
    trained = (model, tokenizer, reading, texts, batch_size)
    with rate(resources, "student_documents_per_second", len(texts)):
        student = student_probabilities(*trained)
    with model.disable_adapter():
        student_base = student_probabilities(*trained)
    resources["adapter_mb"] = folder_mb(adapter)
    seen = [_as_read(texts_, tokenizer, reading) for texts_ in (lessons["text"].to_list(), texts)]
    labels = [reading.labels.index(label) for label in lessons["label"]]
    tfidf = tfidf_probabilities(seen[0], labels, seen[1], len(reading.labels))
    return {"student_base": student_base, "student": student, "tfidf": tfidf}


def _as_read(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, reading: Reading
) -> list[str]:
    return [tokenizer.decode(tokens) for tokens in truncated(texts, tokenizer, reading.text_tokens)]
