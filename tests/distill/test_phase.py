"""Phases: a student learns what the signals say, the same each time, without a teacher."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from akd.distill.phase import PhaseResult, summary
from akd.errors import InputError
from akd.evaluate.predict import load_student, student_probabilities
from akd.models.scoring import TextScorer
from akd.prompts.template import label_paths, render
from akd.records import RATIONALE
from akd.specs.adapters import Quantization
from tests.conftest import FAMILIES, PROMPT, adapter_spec, tiny_model
from tests.distill.tiny_phase import READING, TEXTS, TRUTH, lessons, phase_of, run_tiny, settings_of


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
@pytest.mark.parametrize("family", FAMILIES)
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


@pytest.mark.parametrize("readout", ["pooled", "label_words"])
@pytest.mark.parametrize("kind", ["dora", "series", "ia3", "bitfit", "prompt", "prefix", "full"])
def test_every_adapter_learns_from_phase_to_phase(
    kind: str,
    readout: Literal["pooled", "label_words"],
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    # The label words of a random OPT hardly depend on virtual tokens; a LLaMA has no biases.
    words = readout == "label_words" and kind in ("prompt", "prefix")
    family = "llama" if words else "opt"

    def run(name: str, start: str) -> PhaseResult:
        return run_tiny(
            tmp_path,
            tokenizer,
            name,
            phase_of(epochs=4),
            start=start,
            model=tiny_model(family),
            settings=settings_of(readout=readout),
            adapter=adapter_spec(kind=kind),
        )

    first, second = run("phase-1", "student"), run("phase-2", "phase-1")
    epochs = [loss for result in (first, second) for loss in result.curve["loss"]]
    start, middle, end = (np.mean(epochs[step : step + 2]) for step in (0, 8, 14))
    assert end < start, "an epoch has two steps"
    assert middle < start, "the second phase goes on from the first"
    assert 0 < summary(second)["trainable_share"] <= 1
    assert (summary(second)["trainable_share"] == 1) == (kind == "full")
    folder = tmp_path / "base"
    found = [_predict(tmp_path, tokenizer, name, family) for name in ("phase-1", "phase-2")]
    assert not np.allclose(*found)
    base = tiny_model(family).state_dict()
    kept = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    assert all(torch.equal(base[name], kept[name]) for name in base)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_teacher_of_another_shape_teaches(
    family: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    teacher = tiny_model(family, layers=4, seed=9, width=48)
    teacher.resize_token_embeddings(520, mean_resizing=False)
    before, after = render(PROMPT, tokenizer)
    scorer = TextScorer(
        teacher, tokenizer, before=before, after=after,
        labels=label_paths(PROMPT, tokenizer), text_tokens=12, batch_size=4, layers=[],
    )  # fmt: skip
    scores = scorer.score(TEXTS).log_probabilities.astype(np.float64)
    centered = 4 * (scores - scores.mean(axis=0))
    probabilities = np.exp(centered) / np.exp(centered).sum(axis=1, keepdims=True)
    table = lessons(probabilities=probabilities)
    run_tiny(tmp_path, tokenizer, "phase", phase_of(), model=tiny_model(family), table=table)
    found = _predict(tmp_path, tokenizer, "phase", family)
    knowing_nothing = np.abs(probabilities.mean(axis=0) - probabilities).mean()
    assert np.abs(found - probabilities).mean() < 0.5 * knowing_nothing


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
    slow = {"learning_rate": 5e-3}  # what phase-1 has made one group of comes apart slowly
    first = run_tiny(
        tmp_path, tokenizer, "phase-2", phase_of(epochs=60), start="phase-1", optimizer=slow
    )
    assert _predict(tmp_path, tokenizer, "phase-2").argmax(1).tolist() == TRUTH
    assert summary(first)["articles"] == 8


def test_a_phase_learns_from_the_easiest_share_of_each_label_alone(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    half = run_tiny(tmp_path, tokenizer, "phase", phase_of(articles=(0.0, 0.5), epochs=1))
    assert half.articles == 5  # of 3, 2 and 3 articles


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
    assert _predict(tmp_path, tokenizer, "phase").argmax(1).tolist() == TRUTH


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
    assert _predict(tmp_path, tokenizer, "phase").argmax(1).tolist() == TRUTH


def test_a_loss_that_is_not_finite_names_step_and_articles_and_keeps_the_checkpoint(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = tiny_model("llama")
    steps = iter(range(100))

    def break_later(_module: object, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output * float("nan") if model.training and next(steps) >= 5 else output

    model.model.norm.register_forward_hook(break_later)
    with pytest.raises(InputError, match=r"finite .* at step 5, articles n00\d, .*: lower"):
        run_tiny(tmp_path, tokenizer, "phase", phase_of(epochs=10), model=model)
    assert not (tmp_path / "phase").exists()
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {
        "checkpoint-2",
        "checkpoint-4",
    }


@pytest.mark.parametrize("kind", ["random", "student_loss", "reciprocal_rank"])
def test_difficulty_by_the_student_and_by_chance_run_through(
    kind: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    phase, settings = phase_of(articles=(0.0, 0.5), epochs=1), settings_of(difficulty=kind)
    assert run_tiny(tmp_path, tokenizer, "phase", phase, settings=settings).articles == 5


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
    assert _predict(tmp_path, tokenizer, "phase").argmax(1).tolist() == TRUTH


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


def test_gradient_checkpointing_computes_again_and_learns_the_same(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    passes: dict[bool, list[int]] = {False: [], True: []}
    for again in (False, True):
        model, calls = tiny_model("llama"), passes[again]
        block = model.model.layers[0].self_attn
        block.register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        run_tiny(
            tmp_path,
            tokenizer,
            f"again-{again}",
            phase_of(epochs=2),
            model=model,
            optimizer={"gradient_checkpointing": again},
        )
    assert len(passes[True]) == len(passes[False]) + 4  # steps
    plain, twice = (_predict(tmp_path, tokenizer, f"again-{again}") for again in (False, True))
    np.testing.assert_allclose(plain, twice, atol=1e-4)
