"""The pooled readout of a phase: what trains it, and what it is fitted to in the end."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from akd.distill.curriculum import goal_of
from akd.distill.lessons import Lessons
from akd.distill.preparation import prepare
from akd.distill.pupil import Pupil
from akd.distill.recipe import Recipe
from akd.models import adapters
from akd.models.batching import pad_right
from akd.models.student import Readout, load_readout
from tests.conftest import SENTENCES, tiny_model
from tests.distill.tiny_phase import (
    ADAMW,
    LORA,
    READING,
    TEXTS,
    lessons,
    phase_of,
    predict,
    run_tiny,
    settings_of,
)


def test_words_alone_teach_no_classes_but_leave_a_readout(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    """The baseline `cpt`: next tokens first, then the classes in closed form."""
    phase = phase_of(losses={"next_token": 1.0}, epochs=10)
    texts, truth = [f"{n} {SENTENCES[n % 5]}" for n in range(20)], [n % 5 % 3 for n in range(20)]
    curve = run_tiny(tmp_path, tokenizer, "phase", phase, table=lessons(texts, truth)).curve
    assert curve["next_token"][-1] < 0.8 * curve["next_token"][0]
    assert predict(tmp_path, tokenizer, "phase").argmax(1).tolist() == truth[:8]


def test_the_readout_is_fitted_to_the_states_that_a_phase_has_come_to(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    run_tiny(tmp_path, tokenizer, "phase", phase_of(epochs=5))
    pupil = _pupil(tokenizer, tmp_path / "phase")
    temperature = settings_of().target_temperature
    pupil.fit_reading(goal_of(lessons(), np.arange(len(TEXTS)), None, temperature))
    fitted, shipped = cast(Readout, pupil.readout), load_readout(tmp_path / "phase")
    torch.testing.assert_close(shipped.weight, fitted.weight, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(shipped.bias, fitted.bias, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("losses", "learns"), [({"next_token": 1.0}, False), ({"kl": 1.0}, True)])
def test_a_readout_has_a_gradient_where_a_loss_reads_it(
    losses: dict[str, float], learns: bool, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Several processes wait for the gradient of all that asks for one."""
    adapters.write_empty(tmp_path / "student")
    pupil = _pupil(tokenizer, tmp_path / "student")
    goal = goal_of(lessons(), np.arange(8), None, 1.0)
    pupil.begin_reading(tmp_path / "student", goal)
    recipe = Recipe(phase_of(losses=losses), settings_of(), LORA, ADAMW, seed=5)
    ready = prepare(pupil, Lessons(lessons(), None, None), recipe, goal, None, None)
    tokens, lengths = pad_right(pupil.sequences[:2], pupil.pad_token)
    batch = {"tokens": tokens, "lengths": lengths, "targets": torch.full((2, 3), 1 / 3)}
    batch["answers"] = torch.tensor([0, 1])
    [term] = ready.terms.values()
    term.loss(ready.student(tokens, lengths), batch).backward()
    asked = {name: w.grad for name, w in ready.student.named_parameters() if w.requires_grad}
    assert all(gradient is not None for gradient in asked.values())
    assert ("readout.weight" in asked) == learns


def _pupil(tokenizer: PreTrainedTokenizerFast, start: Path) -> Pupil:
    adapted = adapters.attach(tiny_model("llama"), LORA, start, train=True)
    return Pupil(adapted, tokenizer, READING, TEXTS)
