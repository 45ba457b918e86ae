"""Predictions: what the student's model says before it is taught."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from transformers import PreTrainedTokenizerFast

from akd.errors import InputError
from akd.evaluate.predict import (
    Student,
    load_student,
    student_probabilities,
    untaught_probabilities,
)
from akd.models import adapters
from akd.models.scoring import TextScorer
from akd.prompts.reading import Reading
from akd.prompts.template import label_paths, render
from akd.specs.adapters import Quantization
from tests.conftest import PROMPT, SENTENCES, adapter_spec, tiny_model
from tests.distill.tiny_phase import phase_of, run_tiny

LORA = adapter_spec()


@pytest.mark.parametrize("words", [PROMPT.words, ("zz1", "zz2", "good")])
def test_a_student_is_asked_as_its_teacher_is_and_without_its_adapter(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, words: tuple[str, ...]
) -> None:
    prompt = PROMPT.model_copy(update={"words": words})
    adapters.write_empty(tmp_path)
    taught = adapters.attach(tiny_model("llama"), LORA, tmp_path, train=True).eval()
    for name, weight in taught.named_parameters():
        if "lora_B" in name:
            weight.data.fill_(1.0)
    student = Student(taught, tokenizer, Reading(prompt, ["a", "b", "c"], 12), None)
    found = untaught_probabilities(student, SENTENCES, 2)
    before, after = render(prompt, tokenizer)
    scorer = TextScorer(
        tiny_model("llama"),
        tokenizer,
        before=before,
        after=after,
        labels=label_paths(prompt, tokenizer),
        text_tokens=12,
        batch_size=2,
        layers=[],
    )
    expected = softmax(scorer.score(SENTENCES).log_probabilities.astype(float), axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    if words == PROMPT.words:
        assert np.abs(student_probabilities(student, SENTENCES, 2) - found).max() > 0.01
        with taught.disable_adapter():
            plain = student_probabilities(student, SENTENCES, 2)
        np.testing.assert_allclose(plain, found, atol=1e-5)


@pytest.mark.parametrize(("family", "layers"), [("llama", 2), ("llama", 5), ("gpt2", 3)])
def test_an_adapter_of_another_model_is_refused(
    family: str, layers: int, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    run_tiny(tmp_path, tokenizer, "phase", phase_of(epochs=1))
    other = tmp_path / "other"
    tiny_model(family, layers=layers).save_pretrained(other)
    tokenizer.save_pretrained(other)
    told = rf"of a llama \(3 layers, .* cannot be put on a {family} \({layers} layers"
    with pytest.raises(InputError, match=told):
        load_student(other, tmp_path / "phase", Quantization(kind="none"))


def test_no_texts_have_no_probabilities(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    adapters.write_empty(tmp_path)
    taught = adapters.attach(tiny_model("llama"), LORA, tmp_path, train=False)
    student = Student(taught, tokenizer, Reading(PROMPT, ["a", "b", "c"], 12), None)
    assert student_probabilities(student, [], 2).shape == (0, 3)
