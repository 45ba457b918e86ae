"""Phases: a student learns what the signals say, the same each time, without a teacher."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from akd.distill.curriculum import goal_of
from akd.distill.phase import PhaseResult, summary
from akd.distill.pupil import Pupil
from akd.errors import InputError
from akd.io import read_tensors
from akd.models import adapters
from akd.models.scoring import TextScorer
from akd.prompts.reading import load_reading
from akd.prompts.template import Demonstration, label_paths, render
from tests.conftest import FAMILIES, PROMPT, adapter_spec, tiny_model
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
    found = predict(tmp_path, tokenizer, "phase", family)
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
    students = []

    def run(name: str, start: str, rate: float) -> PhaseResult:
        students.append(tiny_model(family))
        return run_tiny(
            tmp_path,
            tokenizer,
            name,
            phase_of(epochs=4),
            start=start,
            model=students[-1],
            settings=settings_of(readout=readout),
            adapter=adapter_spec(kind=kind),
            optimizer={"learning_rate": rate},
        )

    def moved(one: str, other: str) -> bool:
        weights, others = (
            load_file(tmp_path / name / "adapter_model.safetensors") for name in (one, other)
        )
        return any(not torch.allclose(weights[key], others[key], atol=1e-5) for key in weights)

    untaught, taught = run("untaught", "student", 1e-9), run("taught", "student", 2e-2)
    curve = taught.curve["loss"]
    assert curve[-2:].mean() < curve[:2].mean(), "an epoch has two steps"  # type: ignore[operator]
    assert moved("untaught", "taught")
    run("again", "taught", 1e-9)
    assert not moved("taught", "again"), "the second phase goes on from the first"
    assert 0 < summary(untaught)["trainable_share"] <= 1
    assert (summary(untaught)["trainable_share"] == 1) == (kind == "full")
    frozen = {n.replace(".base_layer", ""): w for n, w in students[1].named_parameters()}
    for name, weight in tiny_model(family).named_parameters():
        assert torch.equal(weight, frozen[name]), name


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
    found = predict(tmp_path, tokenizer, "phase", family)
    knowing_nothing = np.abs(probabilities.mean(axis=0) - probabilities).mean()
    assert np.abs(found - probabilities).mean() < 0.5 * knowing_nothing


@pytest.mark.parametrize("readout", ["pooled", "label_words"])
def test_a_student_may_be_asked_as_its_teacher_is(
    readout: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    shown = {
        "instruction": "One of {labels}.",
        "demonstrations": (Demonstration(shot="n0", text=TEXTS[0], label=0),),
    }
    told = PROMPT.model_copy(update=shown)
    run_tiny(
        tmp_path,
        tokenizer,
        "phase",
        phase_of(),
        settings=settings_of(readout=readout),
        reading=replace(READING, prompt=told),
        adapter=LORA.model_copy(update={"frozen_share": 0.5}),
    )
    assert load_reading(tmp_path / "phase").prompt == told
    assert predict(tmp_path, tokenizer, "phase").argmax(1).tolist() == TRUTH


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
    coarse = predict(tmp_path, tokenizer, "phase-1")
    safe = [label == 2 for label in TRUTH]
    assert (coarse[:, 2] > 0.5).tolist() == safe
    slow = {"learning_rate": 5e-3}  # what phase-1 has made one group of comes apart slowly
    first = run_tiny(
        tmp_path, tokenizer, "phase-2", phase_of(epochs=60), start="phase-1", optimizer=slow
    )
    assert predict(tmp_path, tokenizer, "phase-2").argmax(1).tolist() == TRUTH
    assert summary(first)["articles"] == 8


def _breaking(broken: Callable[[torch.Tensor], torch.Tensor]) -> PreTrainedModel:
    """Return a student whose final states are broken from step 5 of its training on."""
    model = tiny_model("llama")
    steps = iter(range(100))

    def break_later(_module: object, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        return broken(output) if model.training and next(steps) >= 5 else output

    model.model.norm.register_forward_hook(break_later)
    return model


def test_a_loss_that_is_not_finite_names_step_and_articles_and_keeps_the_checkpoint(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = _breaking(lambda states: states * float("nan"))
    told = r"nan\) is no longer finite at step 5, articles n00\d, .*: lower"
    with pytest.raises(InputError, match=told):
        run_tiny(tmp_path, tokenizer, "phase", phase_of(epochs=10), model=model)
    assert not (tmp_path / "phase").exists()
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {
        "checkpoint-2",
        "checkpoint-4",
    }


def test_a_gradient_that_is_not_finite_spoils_no_weight(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    """The loss of the step is finite; of the next one nothing would be."""
    model = _breaking(lambda states: states + (states - states.detach()).abs().sqrt())
    with pytest.raises(InputError, match=r"gradient is no longer finite at step 5, articles n00"):
        run_tiny(tmp_path, tokenizer, "phase", phase_of(epochs=10), model=model)
    assert not (tmp_path / "phase").exists()
    last = tmp_path / "checkpoints" / "checkpoint-4"
    saved = [read_tensors(path) for path in last.glob("*.safetensors")]
    assert saved
    assert all(weight.isfinite().all() for found in saved for weight in found.values())


def test_hard_labels_are_those_of_the_teacher_whatever_the_student_says(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    contrary = lessons(truth=[(label + 1) % 3 for label in TRUTH])
    words = settings_of(readout="label_words")
    run_tiny(tmp_path, tokenizer, "contrary", phase_of(epochs=60), table=contrary, settings=words)
    before = predict(tmp_path, tokenizer, "contrary")
    assert (before.argmax(1) != TRUTH).all()
    shared = goal_of(lessons(), np.arange(8), None, 1.0).shared_with(np.log(before), 1.0)
    assert (shared.targets.argmax(axis=1) != TRUTH).all(), "soft targets follow the student"
    assert shared.answers.tolist() == TRUTH
    phase = phase_of(losses={"hard_cross_entropy": 1.0}, epochs=60)
    itself = settings_of(readout="label_words", own_share=1.0)
    run_tiny(tmp_path, tokenizer, "phase", phase, start="contrary", settings=itself)
    assert predict(tmp_path, tokenizer, "phase").argmax(1).tolist() == TRUTH


def test_a_student_that_hears_itself_is_less_sure_of_what_the_teacher_says(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    sure = []
    for share in (0.0, 0.5, 0.9):
        settings = settings_of(own_share=share, readout="label_words")
        run_tiny(tmp_path, tokenizer, f"{share}", phase_of(epochs=60), settings=settings)
        sure.append(predict(tmp_path, tokenizer, f"{share}")[range(8), TRUTH].mean())
    assert sure[0] > sure[1] > sure[2]


@pytest.mark.parametrize("readout", ["pooled", "label_words"])
def test_what_a_student_says_first_is_what_it_would_say_when_asked(
    readout: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    adapters.write_empty(tmp_path / "student")
    adapted = adapters.attach(tiny_model("llama"), LORA, tmp_path / "student", train=True)
    pupil = Pupil(adapted, tokenizer, READING, TEXTS)
    if readout == "pooled":
        pupil.begin_reading(tmp_path / "student", goal_of(lessons(), np.arange(8), None, 1.0))
    asked = pupil.logits(np.arange(len(TEXTS)))
    np.testing.assert_allclose(pupil.first_logits, asked, rtol=1e-4, atol=1e-5)


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
    plain, twice = (predict(tmp_path, tokenizer, f"again-{again}") for again in (False, True))
    np.testing.assert_allclose(plain, twice, atol=1e-4)


def test_a_student_that_says_nothing_finite_is_one_sentence(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = tiny_model("llama")
    model.model.norm.weight.data.fill_(float("nan"))
    with pytest.raises(InputError, match="makes of the articles is no longer finite: lower"):
        run_tiny(tmp_path, tokenizer, "phase", phase_of(epochs=1), model=model)
    assert not (tmp_path / "phase").exists()
