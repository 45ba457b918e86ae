"""MiniLLM in a phase: what is written is weighed as both models would, and drawn anew each step."""

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from akd.distill.live_teacher import LiveTeacher
from akd.distill.losses.minillm import mixed_log_probabilities
from akd.distill.losses.tokens import token_log_probabilities
from akd.distill.pupil import Pupil, words_head
from akd.distill.rollouts import Rollouts, _drawn
from akd.errors import InputError
from akd.models import adapters
from akd.models.batching import pad_right
from akd.models.load import load_model
from akd.models.student import final_states
from akd.prompts.reading import Reading
from akd.specs.adapters import Quantization
from akd.specs.distillation import MiniLLMParams
from tests.conftest import PROMPT, tiny_model
from tests.distill.tiny_phase import (
    LABELS,
    LORA,
    READING,
    TEXTS,
    live_teacher,
    phase_of,
    run_tiny,
    settings_of,
)

MINILLM = phase_of(losses={"minillm": 1.0}, epochs=30)
SPEC = MiniLLMParams(tokens=6, teacher_share=0.2, clip=0.2)


def _pupil(folder: Path, tokenizer: PreTrainedTokenizerFast, family: str = "llama") -> Pupil:
    adapters.write_empty(folder / "student")
    adapted = adapters.attach(tiny_model(family), LORA, folder / "student", train=True)
    return Pupil(adapted, tokenizer, READING, TEXTS)


def _batch(pupil: Pupil, rows: list[int]) -> dict[str, torch.Tensor]:
    tokens, lengths = pad_right([pupil.sequences[row] for row in rows], pupil.pad_token)
    return {"rows": torch.tensor(rows), "tokens": tokens, "lengths": lengths}


@pytest.mark.parametrize("family", ["llama", "opt", "gpt2", "qwen3", "gemma3"])
def test_both_models_say_of_the_written_tokens_what_they_say_of_them_in_one_pass(
    family: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    pupil, teacher = _pupil(tmp_path, tokenizer, family), live_teacher(tokenizer, family)
    rollouts, rows = Rollouts(pupil, teacher, SPEC, TEXTS, seed=3), [5, 0, 2]
    pupil.language_model.eval()  # without the dropout of these families
    batch = rollouts.extend(_batch(pupil, rows), 7)
    tokens, counted, lengths = batch["tokens"], batch["counted"], batch["lengths"]
    position = torch.arange(tokens.shape[1])
    assert (counted.sum(1) >= 1).all()
    assert (counted & (position < lengths[:, None])).sum() == 0
    with torch.no_grad():
        hidden = final_states(pupil.language_model, tokens)
        student = token_log_probabilities(hidden, tokens, counted, pupil.head())
        teachers = token_log_probabilities(
            batch["teacher_states"], tokens, counted, words_head(teacher.model, tokenizer)
        )
    torch.testing.assert_close(student, batch["before"] * counted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(teachers, batch["teacher"] * counted, atol=1e-4, rtol=1e-4)
    mixed = mixed_log_probabilities(student, teachers, 0.2)
    torch.testing.assert_close(mixed * counted, batch["mixed"] * counted, atol=1e-4, rtol=1e-4)
    asked = teacher.reading.encode([TEXTS[row] for row in rows], tokenizer)
    for row, sequence in enumerate(asked):
        written = tokens[row, counted[row]]
        whole = torch.cat([torch.tensor(sequence), written])[None]
        with torch.no_grad():
            logits = teacher.model(whole).logits[0, len(sequence) - 1 : -1, : len(tokenizer)]
        said = logits.float().log_softmax(-1)[range(len(written)), written]
        torch.testing.assert_close(said, teachers[row, counted[row]], atol=1e-4, rtol=1e-4)


def test_draws_follow_from_seed_step_and_row(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    pupil, teacher = _pupil(tmp_path, tokenizer), live_teacher(tokenizer)
    rollouts = Rollouts(pupil, teacher, SPEC, TEXTS, seed=3)

    def written(rows: list[int], step: int, row: int) -> list[int]:
        torch.seed()
        batch = rollouts.extend(_batch(pupil, rows), step)
        place = rows.index(row)
        found: list[int] = batch["tokens"][place, batch["counted"][place]].tolist()
        return found

    assert written([5, 0, 2], 7, 0) == written([0, 1], 7, 0)
    assert written([0, 1], 7, 0) != written([0, 1], 8, 0)


@pytest.mark.parametrize("ending", ["</s>", "\n"])
def test_a_text_ends_with_its_line(
    ending: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    pupil, teacher = _pupil(tmp_path, tokenizer), live_teacher(tokenizer)
    [end] = tokenizer(ending, add_special_tokens=False).input_ids
    for model in (pupil.base(), teacher.model):
        model.get_output_embeddings().weight.data[:] = 0
        model.get_output_embeddings().weight.data[end] = 0.001
    rollouts = Rollouts(pupil, teacher, SPEC.model_copy(update={"tokens": 150}), TEXTS, seed=3)
    batch = rollouts.extend(_batch(pupil, list(range(8))), 0)
    ends = batch["counted"] & torch.isin(batch["tokens"], torch.tensor([0, end]))
    assert ends.any()
    last = batch["counted"].sum(1) + batch["lengths"] - 1
    for row, place in ends.nonzero().tolist():
        assert place == last[row]


def test_a_draw_finds_its_token() -> None:
    p = torch.tensor([0.2, 0.0, 0.5, 0.3]).log().expand(6, 4)
    draws = torch.tensor(
        [0.0, 0.19, 0.21, 0.69, 0.71, math.nextafter(1.0, 0.0)], dtype=torch.double
    )
    assert _drawn(p, draws).tolist() == [0, 0, 2, 2, 3, 3]


@pytest.mark.parametrize("readout", ["pooled", "label_words"])
def test_the_student_comes_to_write_what_the_teacher_would(
    readout: Literal["pooled", "label_words"], tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    teacher = replace(live_teacher(tokenizer), model=tiny_model("llama", layers=4, seed=9))
    for part in ("get_input_embeddings", "get_output_embeddings"):  # what an adapter cannot learn
        shared = getattr(tiny_model("llama"), part)().weight.data
        getattr(teacher.model, part)().weight.data.copy_(shared)
    before = {name: weight.clone() for name, weight in teacher.model.state_dict().items()}
    curve = run_tiny(
        tmp_path,
        tokenizer,
        "phase",
        MINILLM,
        settings=settings_of(readout=readout),
        teacher=teacher,
    ).curve
    assert curve["minillm"][-15:].mean() < 0.75 * curve["minillm"][:15].mean()
    for name, weight in teacher.model.state_dict().items():
        assert torch.equal(weight, before[name])
    assert all(weight.grad is None for weight in teacher.model.parameters())
    assert (tmp_path / "phase" / "readout.safetensors").is_file() == (readout == "pooled")


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_gradients_reach_the_adapter_alone(
    quantization: Literal["none", "nf4"], tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    tiny_model("llama", width=64).save_pretrained(tmp_path / "base")
    adapters.write_empty(tmp_path / "student")
    model = load_model(tmp_path / "base", Quantization(kind=quantization))
    adapted = adapters.attach(model, LORA, tmp_path / "student", train=True)
    pupil, teacher = Pupil(adapted, tokenizer, READING, TEXTS), live_teacher(tokenizer)
    rollouts = Rollouts(pupil, teacher, SPEC, TEXTS, seed=3)
    student = pupil.classifier().train()
    batch = rollouts.extend(_batch(pupil, [0, 1, 2]), 0)
    assert pupil.language_model.training
    rollouts.loss(student(batch["tokens"], batch["lengths"]), batch).backward()
    reached = {name for name, p in student.named_parameters() if p.grad is not None}
    trained = {name for name, p in student.named_parameters() if p.requires_grad}
    assert reached == trained
    assert all("lora" in name for name in reached)
    assert any(p.grad.abs().max() > 0 for p in student.parameters() if p.grad is not None)
    assert all(weight.grad is None for weight in teacher.model.parameters())


def test_classes_are_read_anew_after_a_phase_without_them(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    for losses in ({"minillm": 1.0}, {"minillm": 1.0, "soft_cross_entropy": 1.0}):
        phase, name = phase_of(losses=losses, epochs=3), f"with-{len(losses)}"
        result = run_tiny(tmp_path, tokenizer, name, phase, teacher=live_teacher(tokenizer))
        assert result.curve.columns == ["step", "loss", *losses]
        assert result.curve["loss"].is_finite().all()


def _with_another_word(tokenizer: PreTrainedTokenizerFast) -> LiveTeacher:
    other = copy.deepcopy(tokenizer)
    other.add_tokens(["another"])
    return replace(live_teacher(tokenizer), tokenizer=other)


def _that_reads_long(tokenizer: PreTrainedTokenizerFast) -> LiveTeacher:
    return replace(live_teacher(tokenizer), reading=Reading(PROMPT, LABELS, 250))


REFUSED = {
    "have different vocabularies": ("llama", _with_another_word),
    "bounds or scales its logits": ("gemma2", live_teacher),
    "`distill.losses.minillm.tokens` 4 of .* leaves no room for 250": ("llama", _that_reads_long),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_does_not_fit_is_refused_before_training(
    sentence: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    family, teacher = REFUSED[sentence]
    with pytest.raises(InputError, match=sentence):
        run_tiny(
            tmp_path,
            tokenizer,
            "phase",
            MINILLM,
            model=tiny_model(family),
            teacher=teacher(tokenizer),
        )
    assert not (tmp_path / "phase").exists()
