"""Reasons in the student's own words."""

from pathlib import Path

import polars as pl
import pytest
from transformers import PreTrainedTokenizerFast

from akd.errors import InputError
from akd.evaluate.predict import Student, load_student
from akd.evaluate.reasons import ReasonWriter
from akd.records import RATIONALE
from akd.specs.adapters import Quantization
from tests.conftest import tiny_model
from tests.distill.tiny_phase import LORA, TEXTS, TRUTH, phase_of, run_tiny

CUE = "\nReason:"
TOLD = "people left their homes."


def _reasons(tokenizer: PreTrainedTokenizerFast) -> pl.DataFrame:
    """Return the same reason of all articles."""
    tokens = tokenizer(f" {TOLD}", add_special_tokens=False).input_ids
    count, width = len(TRUTH), len(tokens)
    rows = {
        "id": [f"n{number:03d}" for number in range(count)],
        "text": [TOLD] * count,
        "tokens": [tokens] * count,
        "top_tokens": [[[token] for token in tokens]] * count,
        "top_log_probabilities": [[[-0.01]] * width] * count,
        "tail_mass": [[0.01] * width] * count,
    }
    return pl.DataFrame(rows, schema=RATIONALE)


def _taught(folder: Path, tokenizer: PreTrainedTokenizerFast, **losses: float) -> Student:
    phase = phase_of(losses={"soft_cross_entropy": 0.5, **losses}, epochs=60)
    reasons = _reasons(tokenizer) if "rationale" in losses else None
    run_tiny(folder, tokenizer, "phase", phase, rationales=reasons)
    tiny_model("llama").save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    return load_student(folder / "base", folder / "phase", Quantization(kind="none"))


def _said(student: Student) -> list[str | None]:
    return ReasonWriter(student, CUE, new_tokens=12, batch_size=3).write(TEXTS, TRUTH)


def test_the_reason_that_it_was_taught_and_none_where_it_was_taught_none(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    """What these random models write once the sentence is over is anything."""
    taught = _said(_taught(tmp_path / "taught", tokenizer, rationale=4.0))
    assert sum(text is not None and text.startswith(TOLD) for text in taught) >= len(TEXTS) // 2
    untaught = _said(_taught(tmp_path / "untaught", tokenizer))
    assert not any(text is not None and text.startswith(TOLD) for text in untaught)


def test_virtual_tokens_are_refused(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    spec = LORA.model_copy(update={"kind": "prompt"})
    run_tiny(tmp_path, tokenizer, "phase", phase_of(epochs=1), adapter=spec)
    tiny_model("llama").save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    student = load_student(tmp_path / "base", tmp_path / "phase", Quantization(kind="none"))
    with pytest.raises(InputError, match="virtual tokens writes no reasons"):
        _said(student)
