"""Validation articles: no phase learns from what DDK measures on, however it draws."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from akd.distill.sampling import split
from akd.specs.distillation import SamplingParams
from tests.conftest import SENTENCES
from tests.distill.tiny_phase import blocks_of, lessons, phase_of, run_tiny, settings_of

COUNT = 24
TEXTS = [f"{number} {SENTENCES[number % 5]}" for number in range(COUNT)]
PARTS = split(lessons(TEXTS, [0] * COUNT), settings_of("uniform").sampling, seed=5)
HELD = np.concatenate(list(PARTS.held.values()))
NONE = HELD[:0]


def _student(
    folder: Path, tokenizer: PreTrainedTokenizerFast, contrary: np.ndarray, **asked: str
) -> list[bytes]:
    """Return the files of a student whose teacher says something else of some rows."""
    truth = np.arange(COUNT) % 3
    truth[contrary] = (truth[contrary] + 1) % 3
    name = f"phase-{len(list(folder.iterdir()))}"
    run_tiny(
        folder,
        tokenizer,
        name,
        phase_of(epochs=2, losses={asked["loss"]: 1.0}),
        settings=settings_of(asked["sampling"], difficulty="student_loss", own_share=0.5),
        table=lessons(TEXTS, truth.tolist()),
        states=torch.eye(3, 48)[truth],
        blocks=blocks_of(truth.tolist()),
    )
    return [file.read_bytes() for file in sorted((folder / name).iterdir()) if file.is_file()]


@pytest.mark.parametrize("loss", ["soft_cross_entropy", "next_token", "hidden", "ted"])
@pytest.mark.parametrize("sampling", ["uniform", "proportional"])
def test_what_the_teacher_says_of_held_out_articles_reaches_no_weight(
    sampling: str, loss: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Through no loss, bucket, filter, projection or readout in closed form."""
    asked = {"sampling": sampling, "loss": loss}
    first = _student(tmp_path, tokenizer, NONE, **asked)
    assert len(HELD) == 4
    assert _student(tmp_path, tokenizer, HELD, **asked) == first
    assert _student(tmp_path, tokenizer, PARTS.taught[:4], **asked) != first


def test_ddk_needs_articles_to_measure_on() -> None:
    values = {"by": "domain", "every": 2, "smoothing": 0.5, "validation": 0}
    SamplingParams.model_validate({"kind": "uniform", **values})
    with pytest.raises(ValueError, match="validation is 0, and ddk measures"):
        SamplingParams.model_validate({"kind": "ddk", **values})
