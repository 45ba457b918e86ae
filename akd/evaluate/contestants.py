"""The four models of the headline table, each asked about the same texts."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from transformers import PreTrainedTokenizerBase

from akd.evaluate.baseline import tfidf_probabilities
from akd.evaluate.metrics import Floats
from akd.evaluate.predict import load_student, student_probabilities, untaught_probabilities
from akd.evaluate.resources import folder_mb, rate
from akd.models.truncation import excerpts
from akd.prompts import store
from akd.prompts.reading import Reading
from akd.specs.adapters import Quantization
from akd.specs.engines import Engine
from akd.teacher.engine import OpenEngine, open_engine

Resources = dict[str, float]


def contest(
    texts: Sequence[str],
    lessons: pl.DataFrame,
    *,
    models: Path,
    prompt: Path,
    adapter: Path,
    quantization: Quantization,
    engine: Engine,
    batch_size: int,
    resources: Resources,
) -> dict[str, Floats]:
    """Return the class probabilities (n, labels) that each of the four models gives the texts.

    TF-IDF learns the lessons' teacher labels and reads the very words that the student reads.

    Args:
        texts: gold articles (n).
        lessons: what the student was taught.
        models: folder with teacher and student.
        prompt: the adapted prompt of the teacher.
        adapter: the last phase's adapter.
        engine: through which the teacher is asked.
        resources: documents per second and sizes are entered here.
    """
    taught = load_student(models / "student", adapter, quantization)
    tokenizer, reading = taught.tokenizer, taught.reading
    with rate(resources, "student_documents_per_second", len(texts)):
        student = student_probabilities(taught, texts, batch_size)
    student_base = untaught_probabilities(taught, texts, batch_size)
    resources["adapter_mb"] = folder_mb(adapter)
    labels = [reading.labels.index(label) for label in lessons["label"]]
    tfidf = tfidf_probabilities(
        _as_read(lessons["text"].to_list(), tokenizer, reading),
        labels,
        _as_read(texts, tokenizer, reading),
        len(reading.labels),
    )
    del taught  # teacher and student need not fit into the memory together
    opened = open_engine(
        engine, models / "teacher", text_tokens=reading.text_tokens, batch_size=batch_size
    )
    teacher = _teacher(opened, prompt, texts, resources)
    return {"teacher": teacher, "student_base": student_base, "student": student, "tfidf": tfidf}


def _teacher(
    engine: OpenEngine, prompt: Path, texts: Sequence[str], resources: Resources
) -> Floats:
    adapted = store.load(prompt)
    teacher = engine.teacher(adapted.prompt, adapted.layers)
    if engine.ledger is not None:  # some answers are kept, and the others tell a server's speed
        return adapted.calibrator.probabilities(teacher.score(texts))
    with rate(resources, "teacher_documents_per_second", len(texts)):
        return adapted.calibrator.probabilities(teacher.score(texts))


def _as_read(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, reading: Reading
) -> list[str]:
    return [excerpt.text for excerpt in excerpts(texts, tokenizer, reading.text_tokens)]
