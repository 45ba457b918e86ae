"""The losses of a phase: each teaches, has its own curve, and refuses what it cannot learn from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import safe_open
from transformers import PreTrainedTokenizerFast

from akd.errors import InputError
from akd.records import RATIONALE
from tests.distill.tiny_phase import (
    READING,
    TRUTH,
    phase_of,
    predict,
    run_tiny,
    settings_of,
)


@pytest.mark.parametrize(
    "losses",
    [
        {"hard_cross_entropy": 1.0},
        {"kl": 1.0},
        {"soft_cross_entropy": 0.5, "kl": 0.5, "hidden": 0.1},
        {"soft_cross_entropy": 1.0, "next_token": 0.1},
    ],
    ids=lambda losses: "+".join(losses),
)
def test_every_loss_teaches_and_has_a_curve_of_its_own(
    losses: dict[str, float], tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    states = torch.randn(8, 48, generator=torch.Generator().manual_seed(1)).half()
    phase = phase_of(losses=losses, epochs=10)
    curve = run_tiny(tmp_path, tokenizer, "phase", phase, states=states).curve
    assert curve.columns == ["step", "loss", *losses]
    total = sum(weight * curve[name] for name, weight in losses.items())
    np.testing.assert_allclose(total, curve["loss"], rtol=1e-5)
    assert curve["loss"][-1] < 0.8 * curve["loss"][0]
    assert predict(tmp_path, tokenizer, "phase").argmax(1).tolist() == TRUTH


@pytest.mark.parametrize("kind", ["projection", "gram"])
def test_hidden_states_are_met_and_the_projection_is_not_kept(
    kind: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    states = torch.randn(3, 48, generator=torch.Generator().manual_seed(1)).half()[TRUTH]
    losses = {"hidden": {"kind": kind, "distance": "mse"}}
    settings = settings_of(losses={**settings_of().losses.model_dump(), **losses})
    phase = phase_of(losses={"hidden": 1.0})
    curve = run_tiny(tmp_path, tokenizer, "phase", phase, settings=settings, states=states).curve
    assert curve["hidden"][-1] < 0.9 * curve["hidden"][0]
    with safe_open(tmp_path / "phase" / "adapter_model.safetensors", "pt") as content:
        assert all("lora" in name for name in content.keys())  # noqa: SIM118 (not a mapping)


def test_words_alone_teach_no_classes_but_leave_a_readout(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    """The baseline `cpt`: next tokens first, then the classes in closed form."""
    phase = phase_of(losses={"next_token": 1.0}, epochs=10)
    curve = run_tiny(tmp_path, tokenizer, "phase", phase).curve
    assert curve["next_token"][-1] < 0.8 * curve["next_token"][0]
    assert predict(tmp_path, tokenizer, "phase").argmax(1).tolist() == TRUTH


def _rationales(tokenizer: PreTrainedTokenizerFast, count: int) -> pl.DataFrame:
    """Return a reason of the first articles, of which the teacher is nearly sure."""
    tokens = tokenizer(" people left their homes.", add_special_tokens=False).input_ids
    rows = {
        "id": [f"n{n:03d}" for n in range(count)],
        "text": [tokenizer.decode(tokens)] * count,
        "tokens": [tokens] * count,
        "top_tokens": [[[token, 7] for token in tokens]] * count,
        "top_log_probabilities": [[[-0.05, -4.0]] * len(tokens)] * count,
        "tail_mass": [[0.03] * len(tokens)] * count,
    }
    return pl.DataFrame(rows, schema=RATIONALE)


@pytest.mark.parametrize("kind", ["text", "top_k"])
def test_a_student_learns_to_give_the_reasons_that_some_articles_have(
    kind: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    spec = {**settings_of().losses.model_dump(), "rationale": {"kind": kind}}
    phase = phase_of(losses={"soft_cross_entropy": 0.5, "rationale": 0.5})
    curve = run_tiny(
        tmp_path,
        tokenizer,
        "phase",
        phase,
        settings=settings_of(losses=spec),
        rationales=_rationales(tokenizer, 5),
    ).curve
    assert curve["rationale"][-2:].mean() < 0.3 * curve["rationale"][0]
    assert predict(tmp_path, tokenizer, "phase").argmax(1).tolist() == TRUTH


def test_reasons_of_another_tokenizer_are_refused_before_training(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    foreign = _rationales(tokenizer, 2).with_columns(text=pl.lit("Something else."))
    with pytest.raises(InputError, match="n000 is of another tokenizer than the student's"):
        run_tiny(
            tmp_path, tokenizer, "phase", phase_of(losses={"rationale": 1.0}), rationales=foreign
        )
    assert not (tmp_path / "phase").exists()


def test_a_reason_for_which_there_is_no_room_is_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    long = replace(READING, text_tokens=238)
    with pytest.raises(InputError, match="leaves no room for 238"):
        run_tiny(
            tmp_path,
            tokenizer,
            "phase",
            phase_of(losses={"rationale": 1.0}),
            reading=long,
            rationales=_rationales(tokenizer, 2),
        )
