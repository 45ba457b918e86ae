"""Phases: a student learns what the signals say, the same each time, without a teacher."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from akd.distill.phase import PhaseResult, lessons_of, run_phase, summary
from akd.distill.trainer import train
from akd.errors import InputError
from akd.evaluate.predict import load_student, student_probabilities
from akd.models import adapters
from akd.prompts.reading import Reading
from akd.records import SIGNAL
from akd.specs.adapters import LoraAdapter, Quantization
from akd.specs.distillation import OptimizerParams, Phase
from tests.conftest import PROMPT, SENTENCES, article, clean_articles, tiny_model

LABELS = ["risk", "caution", "safe"]
READING = Reading(PROMPT, LABELS, 12)
LORA = LoraAdapter(kind="lora", r=8, alpha=16, dropout=0.0, targets="all-linear")
ADAMW = OptimizerParams(
    learning_rate="2e-2",
    schedule="cosine",
    warmup=0.1,
    weight_decay=0.0,
    max_gradient_norm=1.0,
    batch_size=4,
)
TRUTH = [0, 1, 2, 0, 2, 1, 2, 0]
TEXTS = [f"{SENTENCES[n % 5]}" if n < 5 else f"{n} {SENTENCES[n % 5]}" for n in range(8)]


def _lessons() -> pl.DataFrame:
    p = np.full((8, 3), 0.02)
    p[np.arange(8), TRUTH] = 0.96
    ids = [f"n{n}" for n in range(8)]
    table = clean_articles(*(article(key, text) for key, text in zip(ids, TEXTS, strict=True)))
    rows = {
        "id": ids,
        "log_probabilities": np.log(p).astype(np.float32).tolist(),
        "other_mass": [0.0] * 8,
        "probabilities": p.tolist(),
        "entropy": [0.1 * n for n in range(8)],
        "margin": [0.9] * 8,
        "label": [LABELS[label] for label in TRUTH],
    }
    return lessons_of(table, pl.DataFrame(rows, schema=SIGNAL))


def _phase(**changes: object) -> Phase:
    settings = {
        "init_from": "student",
        "targets": "classes",
        "share": 1.0,
        "epochs": 30,
        "temperature": 1.0,
    }
    return Phase.model_validate({**settings, **changes})


def _run(
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerFast,
    name: str,
    phase: Phase,
    start: str = "student",
    family: str = "llama",
    readout: Literal["pooled", "label_words"] = "pooled",
    reading: Reading = READING,
) -> PhaseResult:
    adapters.write_empty(tmp_path / "student")
    model = tiny_model(family)
    torch.seed()  # what was drawn before a phase must not matter to it
    return run_phase(
        model,
        tokenizer,
        _lessons(),
        phase,
        reading=reading,
        readout=readout,
        coarse_groups=[0, 0, 1],
        adapter=LORA,
        optimizer=ADAMW,
        start=tmp_path / start,
        out=tmp_path / name,
        seed=5,
    )


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
        _run(tmp_path, tokenizer, "phase-1", _phase(), reading=long)


@pytest.mark.parametrize("readout", ["pooled", "label_words"])
@pytest.mark.parametrize("family", ["llama", "opt", "gpt2"])
def test_eight_rows_overfit(
    family: str,
    readout: Literal["pooled", "label_words"],
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    result = _run(tmp_path, tokenizer, "phase", _phase(), family=family, readout=readout)
    assert result.curve[-1]["loss"] < 0.5 < result.curve[0]["loss"]
    found = _predict(tmp_path, tokenizer, "phase", family)
    assert found.argmax(1).tolist() == TRUTH
    np.testing.assert_allclose(found.sum(1), 1.0)


def test_two_runs_have_equal_bytes(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    for name in ("one", "two"):
        _run(tmp_path, tokenizer, name, _phase(epochs=2))
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
    _run(tmp_path, tokenizer, "phase-1", _phase(targets="coarse"))
    coarse = _predict(tmp_path, tokenizer, "phase-1")
    safe = [label == 2 for label in TRUTH]
    assert (coarse[:, 2] > 0.5).tolist() == safe
    first = _run(tmp_path, tokenizer, "phase-2", _phase(), start="phase-1")
    assert _predict(tmp_path, tokenizer, "phase-2").argmax(1).tolist() == TRUTH
    assert summary(first)["articles"] == 8


def test_a_phase_learns_from_its_easiest_share_alone(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    assert _run(tmp_path, tokenizer, "phase", _phase(share=0.5, epochs=1)).articles == 4


class _Broken(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.weight * torch.full((len(lengths), 3), float("nan"))


def test_a_loss_that_is_not_finite_stops_with_the_step() -> None:
    with pytest.raises(InputError, match="loss became nan at step 0"):
        train(
            _Broken(),
            [[1, 2]] * 4,
            np.full((4, 3), 1 / 3),
            lambda logits, _t: logits.mean(),
            pad_token=0,
            epochs=1,
            seed=1,
            optimizer=ADAMW,
        )
