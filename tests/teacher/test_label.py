"""Labelling: interrupted and run again it continues, and the bytes are the same."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from akd.io import resume_folder
from akd.models.load import load_teacher
from akd.prompts.calibration import Calibrator
from akd.records import SIGNAL, Scores
from akd.teacher.engine import Teacher, transformers_teacher
from akd.teacher.label import score_all, signals, summary
from akd.teacher.store import ScoreStore, fingerprint
from tests.conftest import PROMPT, SENTENCES

TEXTS = [f"{text} {number}" for number in range(4) for text in SENTENCES]


class Counting:
    """A teacher that counts its calls and can die at one of them."""

    def __init__(self, teacher: Teacher, dies_at: int | None = None) -> None:
        self._teacher = teacher
        self._dies_at = dies_at
        self.calls = 0

    def score(self, texts: Sequence[str]) -> Scores:
        if self.calls == self._dies_at:
            raise KeyboardInterrupt
        self.calls += 1
        return self._teacher.score(texts)


@pytest.fixture
def teacher(teacher_folder: Path) -> Teacher:
    """A real engine on a tiny model."""
    model, tokenizer = load_teacher(teacher_folder)
    return transformers_teacher(
        model, tokenizer, prompt=PROMPT, text_tokens=10, batch_size=3, layers=[1]
    )


def test_an_interruption_costs_one_shard(teacher: Teacher, tmp_path: Path) -> None:
    whole = score_all(teacher, TEXTS, ScoreStore(tmp_path / "whole"), 6)
    dying = Counting(teacher, dies_at=2)
    with pytest.raises(KeyboardInterrupt):
        score_all(dying, TEXTS, ScoreStore(tmp_path / "cut"), 6)
    again = Counting(teacher)
    resumed = score_all(again, TEXTS, ScoreStore(tmp_path / "cut"), 6)
    assert (dying.calls, again.calls) == (2, 2)
    for name in ("log_probabilities", "decision", "states"):
        assert getattr(resumed, name).tobytes() == getattr(whole, name).tobytes()


def test_scores_come_back_in_the_order_of_the_texts(teacher: Teacher, tmp_path: Path) -> None:
    scores = score_all(teacher, TEXTS, ScoreStore(tmp_path), 6)
    for row in (0, 7, 19):
        alone = teacher.score([TEXTS[row]])
        np.testing.assert_allclose(
            scores.log_probabilities[row], alone.log_probabilities[0], atol=1e-5
        )


def test_the_fingerprint_follows_everything_that_decides(teacher_folder: Path) -> None:
    first = fingerprint(teacher_folder, {"prompt": "a"})
    assert first == fingerprint(teacher_folder, {"prompt": "a"})
    assert first != fingerprint(teacher_folder, {"prompt": "b"})
    (teacher_folder / "config.json").write_text("{}")
    assert first != fingerprint(teacher_folder, {"prompt": "a"})


def test_the_store_lies_in_the_root_that_dvc_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", "/some/root")
    assert resume_folder() == Path("/some/root/.akd")


def test_signals_hold_mass_entropy_margin_and_label() -> None:
    p = np.array([[0.5, 0.2, 0.1], [0.01, 0.01, 0.08]], dtype=np.float32)
    empty = np.zeros((2, 4), np.float32)
    scores = Scores(np.log(p), empty, np.zeros((2, 0, 4), np.float32))
    frame, hidden = signals(
        ["a", "b"], scores, Calibrator(np.zeros(3), 1.0, [], 1.0), ["x", "y", "z"]
    )
    assert frame.schema == SIGNAL
    assert frame["label"].to_list() == ["x", "z"]
    np.testing.assert_allclose(frame["other_mass"], [0.2, 0.9], atol=1e-6)
    np.testing.assert_allclose(frame["margin"], [0.375, 0.7], atol=1e-6)
    q = np.array([0.625, 0.25, 0.125])
    assert frame["entropy"][0] == pytest.approx(-(q * np.log(q)).sum(), abs=1e-6)
    assert summary(frame, hidden)["hidden_bytes_per_article"] == 8
