"""The store: each text is scored once, by content, and never mixed with another teacher's."""

import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from akd.errors import InputError
from akd.io import fingerprint, resume_folder
from akd.models.load import load_teacher
from akd.records import Scores
from akd.specs.engines import TransformersEngine
from akd.teacher import engine
from akd.teacher.engine import Teacher, open_engine
from akd.teacher.store import Store, score_all
from akd.teacher.transformers import transformers_teacher
from tests.conftest import PROMPT, SENTENCES, tiny_model

TEXTS = [f"{text} {number}" for number in range(4) for text in SENTENCES]
PARTS = ("log_probabilities", "decision", "states")
SPEC = TransformersEngine(kind="transformers", quantization="none")
WHO = {"prompt": "a", "dtype": "float32"}


class Counting:
    """A teacher that counts its texts and can die at one of its calls."""

    def __init__(self, teacher: Teacher, dies_at: int | None = None) -> None:
        self._teacher = teacher
        self._dies_at = dies_at
        self.calls = 0
        self.texts: list[str] = []

    def score(self, texts: Sequence[str]) -> Scores:
        if self.calls == self._dies_at:
            raise KeyboardInterrupt
        self.calls += 1
        self.texts += texts
        return self._teacher.score(texts)


@pytest.fixture
def teacher(teacher_folder: Path) -> Teacher:
    """A real engine on a tiny model."""
    return transformers_teacher(
        *load_teacher(teacher_folder), prompt=PROMPT, text_tokens=10, batch_size=3, layers=[1]
    )


def _bytes(scores: Scores) -> list[bytes]:
    return [getattr(scores, name).tobytes() for name in PARTS]


def test_an_interruption_costs_one_shard(teacher: Teacher, tmp_path: Path) -> None:
    whole = score_all(teacher.score, TEXTS, Store(tmp_path / "whole", WHO, Scores), 6)
    dying, again = Counting(teacher, dies_at=2), Counting(teacher)
    with pytest.raises(KeyboardInterrupt):
        score_all(dying.score, TEXTS, Store(tmp_path / "cut", WHO, Scores), 6)
    resumed = score_all(again.score, TEXTS, Store(tmp_path / "cut", WHO, Scores), 6)
    assert (dying.calls, again.calls) == (2, 2)
    assert _bytes(resumed) == _bytes(whole)


def test_a_new_article_costs_one_call(teacher: Teacher, tmp_path: Path) -> None:
    score_all(teacher.score, TEXTS, Store(tmp_path, WHO, Scores), 6)
    counting = Counting(teacher)
    wanted = ["A new one.", *reversed(TEXTS), "A new one."]
    scores = score_all(counting.score, wanted, Store(tmp_path, WHO, Scores), 6)
    assert counting.texts == ["A new one."]
    assert _bytes(scores) == _bytes(teacher.score(wanted))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_ran_when_and_in_what_company_changes_no_bit(
    teacher_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    monkeypatch.setenv("AKD_DTYPE", dtype)
    model, tokenizer = load_teacher(teacher_folder)
    found = set()
    for number, (batch_size, shard) in enumerate(itertools.product((1, 3, 20), (4, 50))):
        engine = transformers_teacher(
            model, tokenizer, prompt=PROMPT, text_tokens=10, batch_size=batch_size, layers=[1]
        )
        mixed = random.Random(number).sample(TEXTS, len(TEXTS))
        folder = tmp_path / str(number)
        for end in (5, 11, 20):  # the articles come in three runs
            score_all(engine.score, mixed[:end], Store(folder, WHO, Scores), shard)
        scores = score_all(engine.score, TEXTS, Store(folder, WHO, Scores), shard)
        found.add(tuple(_bytes(scores)))
    assert len(found) == 1


def test_a_store_of_another_teacher_is_refused(teacher: Teacher, tmp_path: Path) -> None:
    score_all(teacher.score, TEXTS[:2], Store(tmp_path, WHO, Scores), 6)
    with pytest.raises(InputError, match=r"another teacher \(dtype, words differ\)"):
        Store(tmp_path, {"prompt": "a", "dtype": "bfloat16", "words": ["x"]}, Scores)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(InputError, match="manifest.json does not exist"):
        Store(tmp_path, WHO, Scores)


def test_a_shard_that_is_cut_off_is_named(teacher: Teacher, tmp_path: Path) -> None:
    score_all(teacher.score, TEXTS[:2], Store(tmp_path, WHO, Scores), 6)
    [shard] = tmp_path.glob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(InputError, match="cannot be read .*delete it and run again"):
        Store(tmp_path, WHO, Scores)


def test_the_fingerprint_follows_everything_that_decides(
    teacher_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("AKD_DTYPE", "float32")

    def found(layers: Sequence[int] = (1,), text_tokens: int = 10, **changes: str) -> str:
        prompt = PROMPT.model_copy(update=changes)
        opened = open_engine(SPEC, teacher_folder, text_tokens=text_tokens, batch_size=2)
        kept = opened.store(prompt, layers)
        assert json.loads((tmp_path / ".akd" / kept.fingerprint / "manifest.json").read_text())
        return kept.fingerprint

    first = found()
    assert first == found()
    others = {found(layers=[2]), found(text_tokens=11), found(cue="\nSo"), found(instruction="x")}
    monkeypatch.setenv("AKD_DTYPE", "bfloat16")
    others.add(found())
    monkeypatch.setenv("AKD_DTYPE", "float32")
    for file in ("tokenizer.json", "config.json"):
        (teacher_folder / file).write_bytes((teacher_folder / file).read_bytes() + b" ")
        others.add(found())
    tiny_model("llama", seed=1).save_pretrained(teacher_folder)
    others.add(found())
    monkeypatch.setattr(engine, "_CODE", 99)
    others.add(found())
    assert len(others - {first}) == 9


def test_the_batch_size_decides_where_every_batch_is_filled(
    teacher_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))

    def found(batch_size: int) -> str:
        opened = open_engine(SPEC, teacher_folder, text_tokens=10, batch_size=batch_size)
        return opened.store(PROMPT, [1]).fingerprint

    assert found(2) == found(8)
    monkeypatch.setattr(engine, "filled_rows", lambda batch_size: batch_size)
    assert found(2) != found(8)


def test_the_store_lies_in_the_root_that_dvc_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", "/some/root")
    assert resume_folder() == Path("/some/root/.akd")
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_label_words_that_begin_alike_are_scored_in_full(teacher_folder: Path) -> None:
    opened = open_engine(SPEC, teacher_folder, text_tokens=10, batch_size=2)
    words = ("zz1", "zz2", "danger")
    assert opened.tells_apart(words)
    assert not opened.tells_apart(("zz", "zz2"))
    scores = opened.score(PROMPT.model_copy(update={"words": words}), SENTENCES, [])
    assert len({*scores.log_probabilities[0].tolist()}) == 3


@pytest.mark.parametrize("filled", [None, 8])
def test_batches_filled_up_or_not_say_the_same(
    llama: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
    filled: int | None,
) -> None:
    monkeypatch.setattr("akd.models.scoring.filled_rows", lambda batch_size: filled)
    engine = transformers_teacher(
        llama, tokenizer, prompt=PROMPT, text_tokens=10, batch_size=8, layers=[1]
    )
    scores = engine.score(SENTENCES)
    for row, text in enumerate(SENTENCES):
        alone = engine.score([text])
        for name in PARTS:
            np.testing.assert_array_equal(getattr(scores, name)[row], getattr(alone, name)[0])
