"""The losses of a phase: each teaches, has its own curve, and refuses what it cannot learn from."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import safe_open
from transformers import PreTrainedTokenizerFast

from akd.distill.lessons import Lessons
from akd.distill.losses.classes import forward_kl, jensen_shannon, reverse_kl, skew_kl
from akd.distill.objective import objective
from akd.distill.pupil import Pupil
from akd.distill.reasons import reasons_of
from akd.distill.trainer import Term
from akd.errors import InputError
from akd.models import adapters
from akd.models.batching import pad_right
from akd.models.student import StudentOutput
from akd.records import RATIONALE
from akd.specs.distillation import DistillParams, LossParams, Phase
from tests.conftest import tiny_model
from tests.distill.tiny_phase import (
    LORA,
    READING,
    TEXTS,
    TRUTH,
    lessons,
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
    settings = _with_loss("hidden", kind=kind, distance="mse")
    phase = phase_of(losses={"hidden": 1.0})
    curve = run_tiny(tmp_path, tokenizer, "phase", phase, settings=settings, states=states).curve
    assert curve["hidden"][-1] < 0.9 * curve["hidden"][0]
    with safe_open(tmp_path / "phase" / "adapter_model.safetensors", "pt") as content:
        assert all("lora" in name for name in content.keys())  # noqa: SIM118 (not a mapping)


def test_too_few_articles_to_be_more_or_less_alike_are_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(InputError, match="nothing from 2 in each process: set .* to 3 or more"):
        run_tiny(
            tmp_path,
            tokenizer,
            "phase",
            phase_of(losses={"hidden": 1.0}),
            settings=_with_loss("hidden", kind="gram", distance="mse"),
            states=torch.randn(8, 48).half(),
            optimizer={"batch_size": 2},
        )
    assert not (tmp_path / "phase").exists()


@pytest.mark.parametrize(
    ("direction", "divergence"),
    [
        ("forward", forward_kl),
        ("reverse", reverse_kl),
        ("jsd", partial(jensen_shannon, beta=0.3)),
        ("skew", partial(skew_kl, skew=0.2)),
    ],
)
def test_the_direction_of_params_is_the_divergence_that_is_learnt(
    direction: str, divergence: Callable[..., torch.Tensor]
) -> None:
    losses = _with_loss("kl", direction=direction, beta=0.3, skew=0.2).losses
    phase = phase_of(losses={"kl": 1.0}, temperature=2.0)
    term = _objective(phase, losses, around=(0, 0), head=pytest.fail)["kl"]
    draw = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(4, 3, generator=draw), torch.rand(4, 3, generator=draw)
    targets /= targets.sum(1, keepdim=True)
    output = StudentOutput(logits, torch.zeros(4, 1), torch.zeros(4, 1, 1))
    expected = divergence(logits, targets, temperature=2.0)
    torch.testing.assert_close(term.loss(output, {"targets": targets}), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_words_are_judged_by_the_head_as_it_is_now(
    dtype: torch.dtype, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    pupil = _pupil(tmp_path, tokenizer, "full", dtype)
    terms = _of_words(pupil)
    tokens, lengths = pad_right(pupil.sequences[:2], pupil.pad_token)
    output, batch = pupil.classifier()(tokens, lengths), {"tokens": tokens, "lengths": lengths}
    before = terms["next_token"].loss(output, batch).item()
    with torch.no_grad():
        for name, weight in pupil.language_model.named_parameters():
            if weight.requires_grad and ("lm_head" in name or "embed" in name):
                weight.mul_(3)
    assert abs(terms["next_token"].loss(output, batch).item() - before) > 0.01


def test_words_that_stand_around_an_article_are_not_learnt(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    pupil = _pupil(tmp_path, tokenizer, "lora", torch.float32)
    term, (_, after) = _of_words(pupil)["next_token"], pupil.around()
    tokens, lengths = pad_right(pupil.sequences[:1], pupil.pad_token)
    hidden = torch.randn(1, tokens.shape[1], 32, generator=torch.Generator().manual_seed(0))
    output = StudentOutput(torch.zeros(1, 3), hidden[:, -1], hidden)

    def lost(tokens: torch.Tensor) -> float:
        return term.loss(output, {"tokens": tokens, "lengths": lengths}).item()

    cue, word = tokens.clone(), tokens.clone()
    cue[0, -1], word[0, -1 - after] = 5, 5
    assert after > 0
    assert lost(cue) == lost(tokens) != lost(word)


def _of_words(pupil: Pupil) -> dict[str, Term]:
    phase, losses = phase_of(losses={"next_token": 1.0}), settings_of().losses
    return _objective(phase, losses, around=pupil.around(), head=pupil.head)


def _with_loss(name: str, **spec: object) -> DistillParams:
    """Return what phases share, with the settings of one loss as given."""
    return settings_of(losses={**settings_of().losses.model_dump(), name: spec})


def _objective(phase: Phase, losses: LossParams, **needed: Any) -> dict[str, Term]:
    return objective(phase, losses, groups=None, states=pytest.fail, sampled=pytest.fail, **needed)


def _pupil(
    folder: Path,
    tokenizer: PreTrainedTokenizerFast,
    kind: Literal["lora", "full"],
    dtype: torch.dtype,
) -> Pupil:
    adapters.write_empty(folder / "student")
    spec = LORA.model_copy(update={"kind": kind})
    model = tiny_model("llama").to(dtype)  # type: ignore[arg-type]
    language_model = adapters.attach(model, spec, folder / "student", train=True)
    return Pupil(language_model, tokenizer, READING, TEXTS)


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
    phase = phase_of(losses={"soft_cross_entropy": 0.5, "rationale": 0.5})
    curve = run_tiny(
        tmp_path,
        tokenizer,
        "phase",
        phase,
        settings=_with_loss("rationale", kind=kind),
        rationales=_rationales(tokenizer, 5),
    ).curve
    assert curve["rationale"][-2:].mean() < 0.3 * curve["rationale"][0]
    assert predict(tmp_path, tokenizer, "phase").argmax(1).tolist() == TRUTH


def test_words_alone_are_learnt_without_the_alternatives_that_are_stored(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    for alternatives in (True, False):
        found = reasons_of(
            Lessons(lessons(), None, _rationales(tokenizer, 2), None),
            np.arange(8),
            READING,
            "\nReason:",
            tokenizer,
            context=None,
            virtual_tokens=0,
            alternatives=alternatives,
        )
        assert found is not None
        assert [bool(reason.top_tokens) for reason in found if reason] == [alternatives] * 2


def test_virtual_tokens_take_room_from_reasons(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    reading = replace(READING, text_tokens=30)
    room = 256 - 30 - sum(reading.around(tokenizer))  # enough for the article without its reason
    sentence = f"`adapter.tokens` {room} and .* no room for 30 of .* lower `adapter.tokens`"
    with pytest.raises(InputError, match=sentence):
        run_tiny(
            tmp_path,
            tokenizer,
            "phase",
            phase_of(epochs=1, losses={"rationale": 1.0}),
            reading=reading,
            rationales=_rationales(tokenizer, 2),
            adapter=LORA.model_copy(update={"kind": "prompt", "tokens": room}),
        )
    assert not (tmp_path / "checkpoints").exists()


def test_reasons_of_another_tokenizer_are_refused_before_training(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    foreign = _rationales(tokenizer, 2).with_columns(text=pl.lit("Something else."))
    with pytest.raises(InputError, match="n000 is of another tokenizer than the student's"):
        run_tiny(
            tmp_path, tokenizer, "phase", phase_of(losses={"rationale": 1.0}), rationales=foreign
        )
    assert not (tmp_path / "phase").exists()


def test_reasons_that_nobody_wrote_are_no_lesson(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(InputError, match="wrote no usable reason .* raise `label.rationales.share"):
        run_tiny(
            tmp_path,
            tokenizer,
            "phase",
            phase_of(losses={"rationale": 1.0}),
            rationales=_rationales(tokenizer, 0),
        )
    assert not (tmp_path / "phase").exists()


def test_a_phase_that_draws_no_article_with_a_reason_is_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    hardest = _rationales(tokenizer, 8).filter(pl.col("id") == "n007")
    drawn = phase_of(losses={"rationale": 1.0}, articles=(0.0, 0.3))
    with pytest.raises(InputError, match="for the articles of this phase.* more of the articles"):
        run_tiny(tmp_path, tokenizer, "phase", drawn, rationales=hardest)
    assert not (tmp_path / "phase").exists()
    whole = phase_of(losses={"rationale": 1.0}, epochs=1)
    curve = run_tiny(tmp_path, tokenizer, "whole", whole, rationales=hardest).curve
    assert curve["rationale"].max() > 0


def test_a_reason_for_which_there_is_no_room_is_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    long = replace(READING, text_tokens=238)
    with pytest.raises(InputError, match="no room for 238 .* lower `label.rationales.tokens`"):
        run_tiny(
            tmp_path,
            tokenizer,
            "phase",
            phase_of(losses={"rationale": 1.0}),
            reading=long,
            rationales=_rationales(tokenizer, 2),
        )
