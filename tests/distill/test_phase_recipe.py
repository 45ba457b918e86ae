"""What of the recipe decides what a phase learns: difficulty, share of the articles, schedule."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from transformers import PreTrainedTokenizerFast

from tests.distill.tiny_phase import TRUTH, lessons, phase_of, run_tiny, settings_of


def test_a_phase_learns_from_the_easiest_share_of_each_label_alone(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    half = run_tiny(tmp_path, tokenizer, "phase", phase_of(articles=(0.0, 0.5), epochs=1))
    assert half.articles == 5  # of 3, 2 and 3 articles


@pytest.mark.parametrize("kind", ["random", "student_loss", "reciprocal_rank"])
def test_difficulty_by_the_student_and_by_chance_run_through(
    kind: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    phase, settings = phase_of(articles=(0.0, 0.5), epochs=1), settings_of(difficulty=kind)
    assert run_tiny(tmp_path, tokenizer, "phase", phase, settings=settings).articles == 5


@pytest.mark.parametrize("kind", ["entropy", "margin"])
def test_what_the_teacher_finds_hard_is_not_learnt_from(
    kind: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    """The label words are read: a readout would be fitted to all articles."""
    easy_first = np.arange(8) / 8
    settings = settings_of(difficulty=kind, readout="label_words")

    def learnt(name: str, doubtful: int | None) -> bytes:
        """Return the adapter; of one article the teacher may be less sure of the same label."""
        found = np.full((8, 3), 0.02)
        found[range(8), TRUTH] = 0.96
        if doubtful is not None:
            found[doubtful] = found[doubtful] * 0.5 + 0.5 / 3
        table = lessons(probabilities=found).with_columns(
            entropy=pl.Series(easy_first), margin=pl.Series(1 - easy_first)
        )
        phase = phase_of(articles=(0.0, 0.5), epochs=2)
        run_tiny(tmp_path, tokenizer, name, phase, settings=settings, table=table)
        return (tmp_path / name / "adapter_model.safetensors").read_bytes()

    sure = learnt("sure", None)
    assert learnt("hard", 7) == sure
    assert learnt("easy", 0) != sure


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_every_schedule_warms_up(
    schedule: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    found = set()
    for warmup in (0.0, 0.5):
        changes = {"schedule": schedule, "warmup": warmup}
        run_tiny(tmp_path, tokenizer, f"{warmup}", phase_of(epochs=2), optimizer=changes)
        found.add((tmp_path / f"{warmup}" / "adapter_model.safetensors").read_bytes())
    assert len(found) == 2
