"""Rationales: the label is told, the reason is the teacher's, and what is none is dropped."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from akd.errors import InputError
from akd.models.truncation import truncated
from akd.models.writing import SentenceWriter
from akd.prompts.calibration import Calibrator
from akd.prompts.store import AdaptedPrompt
from akd.prompts.template import Demonstration, render
from akd.records import RATIONALE, SIGNAL
from akd.specs.engines import TransformersEngine
from akd.specs.labels import RationaleParams
from akd.task import load_task
from akd.teacher.engine import OpenEngine, open_engine
from akd.teacher.rationales import Explainer, open_explainer
from akd.teacher.reasoning import Reasoner, flaw
from tests.conftest import PROMPT, ROOT, SENTENCES, make_wordy, tiny_model

NAMES = ["risk and warning", "caution and advice", "safe and harmless"]
SHOWN = PROMPT.model_copy(
    update={
        "demonstrations": (Demonstration(shot="n0", text="Fire.", label=0),),
        "order": (2, 1, 0),
    }
)
ADAPTED = AdaptedPrompt(SHOWN, Calibrator(np.zeros(3), 1.0, [], 1.0, np.zeros(3)), [1], NAMES)
TASK = load_task(ROOT / "data/tasks/crisis/task.yaml")
SPEC = RationaleParams(share=1.0, tokens=24, top=4)
TEXTS = [f"{text} {number}" for number in range(4) for text in SENTENCES]


@pytest.fixture
def engine(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> OpenEngine:
    """A tiny teacher that writes words and ends its sentences now and then."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("AKD_DTYPE", "float32")
    model = tiny_model("llama", seed=1)
    make_wordy(model, tokenizer)
    model.save_pretrained(tmp_path / "teacher")
    tokenizer.save_pretrained(tmp_path / "teacher")
    spec = TransformersEngine(kind="transformers", quantization="none")
    return open_engine(spec, tmp_path / "teacher", text_tokens=16, batch_size=2)


def _explainer(engine: OpenEngine, spec: RationaleParams = SPEC) -> Explainer:
    found = open_explainer(
        engine, ADAPTED, TASK, spec, text_tokens=16, batch_size=2, shard_articles=3
    )
    assert found is not None
    return found


def _signals(labels: Sequence[str]) -> pl.DataFrame:
    ids = pl.DataFrame({"id": [f"n{n:02}" for n in range(len(labels))], "label": list(labels)})
    return ids.match_to_schema(SIGNAL, missing_columns="insert")


SIGNALS = _signals([NAMES[n % 3] for n in range(len(TEXTS))])


def test_reasons_follow_the_label_that_is_told(
    engine: OpenEngine, tokenizer: PreTrainedTokenizerFast
) -> None:
    found = _explainer(engine).explain(SIGNALS, TEXTS)
    assert found.table.schema == RATIONALE
    metrics = found.metrics()
    assert metrics["kept"] == found.table.height > 2
    assert metrics["asked"] == 20 == metrics["kept"] + sum(metrics["dropped"].values())
    assert metrics["mean_tokens"] == round(found.table["tokens"].list.len().mean(), 2)
    seeds, model = TASK.prompt.rationale, engine.model
    assert seeds is not None
    assert model is not None
    asked = PROMPT.model_copy(update={"instruction": seeds.instruction, "order": (2, 1, 0)})
    before, after = render(asked, tokenizer)
    assert "harmless, advice or danger" in tokenizer.decode(before)
    for row in found.table.rows(named=True):
        number = int(row["id"][1:])
        [read] = truncated([TEXTS[number]], tokenizer, 16)
        told = tokenizer([f" {PROMPT.words[number % 3]}", seeds.cue], add_special_tokens=False)
        so_far = [*before, *read, *after, *itertools.chain(*told.input_ids)]
        with torch.no_grad():
            logits = model(torch.tensor([[*so_far, *row["tokens"]]])).logits[0]
        p = logits[len(so_far) - 1 : -1, : len(tokenizer)].softmax(-1)
        assert p.argmax(-1).tolist() == row["tokens"] == [top[0] for top in row["top_tokens"]]
        np.testing.assert_allclose(row["tail_mass"], 1 - p.topk(4).values.sum(-1), atol=1e-5)
        assert row["text"] == tokenizer.decode(row["tokens"]).strip()


def test_what_was_written_is_not_written_again(
    engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = RationaleParams(share=0.5, tokens=24, top=4)
    first = _explainer(engine, half).explain(SIGNALS, TEXTS)
    assert first.metrics()["asked"] == 10
    written: list[str] = []
    write = SentenceWriter.write

    def noting(self: SentenceWriter, texts: Sequence[str], after: Sequence[Sequence[int]]) -> Any:
        written.extend(texts)
        return write(self, texts, after)

    monkeypatch.setattr(SentenceWriter, "write", noting)
    order = list(range(len(TEXTS)))[::-1]
    again = _explainer(engine, half).explain(SIGNALS[order], [TEXTS[row] for row in order])
    assert again.table.sort("id").equals(first.table.sort("id"))
    assert not written
    more = _explainer(engine).explain(SIGNALS, TEXTS)  # a larger share keeps the smaller one's
    assert len(written) == 10
    assert first.table.join(more.table, on="id", how="anti").is_empty()
    other = SIGNALS.with_columns(label=pl.lit(NAMES[0]))  # another label wants another reason
    _explainer(engine).explain(other, TEXTS)
    assert len(written) == 10 + 13
    _explainer(engine, RationaleParams(share=0.5, tokens=24, top=5)).explain(SIGNALS, TEXTS)
    assert len(written) == 10 + 13 + 10


@pytest.mark.parametrize(
    ("text", "ended", "wrong"),
    [
        ("A storm flooded the town.", True, None),
        ("This news is dangerous because a storm came.", True, None),
        ("A storm flooded the", False, "unended"),
        ("A st\ufffd", False, "unended"),
        ("", True, "empty"),
        (" 3.5 % !", True, "empty"),
        ("A st\ufffdrm.", True, "broken"),
        ("Give the  Reason in one sentence.", True, "repeats"),
        ("Danger!", True, "repeats"),
        ("A storm. News: a fire.", True, "repeats"),
        ("Reason: a storm.", True, "repeats"),
    ],
)
def test_what_is_no_reason(text: str, ended: bool, wrong: str | None) -> None:
    said = ("Answer danger or advice, and give the reason in one sentence.", "", "danger")
    assert flaw(text, ended=ended, said=said, marks=("News: ", "\nReason:")) == wrong


def test_none_are_asked_for_or_none_can_be_given(engine: OpenEngine) -> None:
    settings = {"text_tokens": 16, "batch_size": 2, "shard_articles": 3}
    none = RationaleParams(share=0.0, tokens=24, top=4)
    assert open_explainer(engine, ADAPTED, TASK, none, **settings) is None
    prompt = TASK.prompt.model_copy(update={"rationale": None})
    silent = TASK.model_copy(update={"prompt": prompt})
    with pytest.raises(InputError, match="'crisis' does not say how to ask for a reason"):
        open_explainer(engine, ADAPTED, silent, SPEC, **settings)
    with pytest.raises(InputError, match="only the engine transformers gives reasons"):
        open_explainer(replace(engine, model=None), ADAPTED, TASK, SPEC, **settings)


def test_where_nothing_is_a_reason_it_ends_before_a_phase_misses_them(engine: OpenEngine) -> None:
    short = RationaleParams(share=1.0, tokens=1, top=4)  # no sentence ends in one token
    told = r"of 20 articles the teacher gave no usable reason \(dropped: .*'unended': "
    with pytest.raises(InputError, match=told):
        _explainer(engine, short).explain(SIGNALS, TEXTS)


def test_a_mark_counts_as_itself_and_not_as_the_end_of_a_word() -> None:
    text = "It gives the context: a flood - and what to do."
    assert flaw(text, ended=True, said=(), marks=("Text: ", "- ")) is None
    shown = {
        "It is so. Text: a flood.": "Text: ",
        "So. ### Go": "### ",
        "洪水来了文章：大水": "文章：",
    }
    for text, mark in shown.items():
        assert flaw(text, ended=True, said=(), marks=(mark,)) == "repeats"


def test_a_reason_that_says_the_instruction_again_is_none(
    engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = SHOWN.model_copy(update={"instruction": "Say whether it is {labels} news."})
    sizes = {"text_tokens": 16, "new_tokens": 24, "top": 4, "batch_size": 2}
    reasoner = Reasoner(engine.model, engine.tokenizer, prompt, "\nReason:", **sizes)
    written = replace(reasoner.write(TEXTS[:1], [0]), ended=np.array([True]))
    for echo in ("Say whether it is harmless, advice or danger news.", "It is {labels} news."):
        monkeypatch.setattr(SentenceWriter, "text", lambda _self, _tokens, echo=echo: echo)
        assert reasoner.flaw(written, 0, 0) == ("repeats" if "danger" in echo else None)
