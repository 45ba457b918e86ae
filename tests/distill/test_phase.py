"""Phases: a student learns what the signals say, the same each time, without a teacher."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from akd.distill.phase import summary
from akd.errors import InputError
from akd.evaluate.predict import load_student, student_probabilities
from akd.specs.adapters import Quantization
from tests.conftest import tiny_model
from tests.distill.tiny_phase import READING, TEXTS, TRUTH, phase_of, run_tiny, settings_of


def _predict(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, name: str, family: str = "llama"
) -> np.ndarray:
    folder = tmp_path / "base"
    tiny_model(family).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    student = load_student(folder, tmp_path / name, Quantization(kind="none"))
    return student_probabilities(student, TEXTS, 3)


def test_an_article_that_the_student_cannot_hold_is_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    long = replace(READING, text_tokens=250)
    with pytest.raises(InputError, match="of the 256 tokens .* leaves no room for 250"):
        run_tiny(tmp_path, tokenizer, "phase-1", phase_of(), reading=long)


@pytest.mark.parametrize("readout", ["pooled", "label_words"])
@pytest.mark.parametrize("family", ["llama", "opt", "gpt2"])
def test_eight_rows_overfit(
    family: str,
    readout: Literal["pooled", "label_words"],
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    result = run_tiny(
        tmp_path,
        tokenizer,
        "phase",
        phase_of(),
        model=tiny_model(family),
        settings=settings_of(readout=readout),
    )
    assert result.curve["loss"][-1] < 0.5 < result.curve["loss"][0]
    found = _predict(tmp_path, tokenizer, "phase", family)
    assert found.argmax(1).tolist() == TRUTH
    np.testing.assert_allclose(found.sum(1), 1.0)


def test_two_runs_have_equal_bytes(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    for name in ("one", "two"):
        run_tiny(tmp_path, tokenizer, name, phase_of(epochs=2))
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "reading.json",
        "readout.safetensors",
    ]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_coarse_phase_learns_the_groups_and_the_next_one_the_classes(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    run_tiny(tmp_path, tokenizer, "phase-1", phase_of(targets="coarse"))
    coarse = _predict(tmp_path, tokenizer, "phase-1")
    safe = [label == 2 for label in TRUTH]
    assert (coarse[:, 2] > 0.5).tolist() == safe
    first = run_tiny(tmp_path, tokenizer, "phase-2", phase_of(), start="phase-1")
    assert _predict(tmp_path, tokenizer, "phase-2").argmax(1).tolist() == TRUTH
    assert summary(first)["articles"] == 8


def test_a_phase_learns_from_its_easiest_share_alone(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    assert (
        run_tiny(tmp_path, tokenizer, "phase", phase_of(articles=(0.0, 0.5), epochs=1)).articles
        == 4
    )
