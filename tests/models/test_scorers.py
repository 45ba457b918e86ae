"""The scorers of the filter that ask a model: entailment, questions, embeddings, keywords."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from akd.errors import InputError
from akd.models.entailment import entailment_logits
from akd.models.questions import question_logits
from akd.models.relevance import logits_of
from akd.specs.adapters import Quantization
from akd.specs.pairs import HubModel, LocalModel
from akd.specs.relevance import FilterParams
from tests.conftest import ROOT, SENTENCES

GROUPS = {"disaster": ["storm", "fire"], "joy": ["festival", "music"]}


def _nli(folder: Path, labels: dict[str, int]) -> LocalModel:
    """Save a tiny random classifier of premise and hypothesis."""
    words = sorted({word.lower().strip(".") for text in SENTENCES for word in text.split()})
    words += ["this", "text", "is", "about", "disaster", "joy", "."]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join([*special, *dict.fromkeys(words)]))
    tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, label2id=labels, id2label={n: name for name, n in labels.items()},
        initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return LocalModel(kind="local", path=folder)


def test_entailment_is_that_of_the_model_and_of_no_other_text(tmp_path: Path) -> None:
    model = _nli(tmp_path / "nli", {"contradiction": 0, "neutral": 1, "entailment": 2})
    logits = entailment_logits(model, GROUPS, hypothesis="This text is about {}.", batch_size=2)
    found = logits(SENTENCES).each
    assert found.shape == (len(SENTENCES), 2)
    tokenizer = BertTokenizerFast.from_pretrained(model.path)
    classifier = BertForSequenceClassification.from_pretrained(model.path).eval()
    asked = tokenizer(SENTENCES[0], "This text is about joy.", return_tensors="pt")
    with torch.no_grad():
        contradiction, _, entailment = classifier(**asked).logits[0].tolist()
    assert found[0, 1] == pytest.approx(entailment - contradiction, abs=0.05)
    np.testing.assert_allclose(logits(SENTENCES[:1]).each[0], found[0], atol=0.05)


def test_a_model_without_entailment_or_that_is_not_there_is_refused(tmp_path: Path) -> None:
    other = _nli(tmp_path / "other", {"bad": 0, "good": 1})
    with pytest.raises(InputError, match="has no label `entailment`"):
        entailment_logits(other, GROUPS, hypothesis="{}", batch_size=2)
    missing = HubModel(kind="hub", id="nobody/nothing", revision="main")
    with pytest.raises(InputError, match="nobody/nothing cannot be loaded"):
        entailment_logits(missing, GROUPS, hypothesis="{}", batch_size=2)


def test_questions_are_answered_text_by_text_around_the_mean(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    logits = question_logits(
        model,
        tokenizer,
        SENTENCES,
        GROUPS,
        question="Is it about {name} ({phrases})? Answer:",
        text_tokens=32,
        batch_size=2,
    )
    found = logits(SENTENCES).each
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    assert found.std(axis=0).min() > 0
    alone = np.concatenate([logits([text]).each for text in SENTENCES])
    np.testing.assert_allclose(alone, found, atol=1e-3)
    asked = "News: " + SENTENCES[1] + "\nIs it about joy (festival, music)? Answer:"
    yes, no = (tokenizer(w, add_special_tokens=False).input_ids[0] for w in (" yes", " no"))
    with torch.no_grad():
        said = model(**tokenizer(asked, return_tensors="pt")).logits[0, -1]
    raw = found[:, 1] - found[1, 1] + float(said[yes] - said[no])
    assert found[1, 1] == pytest.approx(float(said[yes] - said[no]) - raw.mean(), abs=1e-3)


def _logits_of(kind: Any, held: Any, tmp_path: Path, teacher: Path) -> NDArray[np.float64]:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())["filter"]
    labels = {"contradiction": 0, "neutral": 1, "entailment": 2}
    raw["nli"]["model"] = _nli(tmp_path / "nli", labels).model_dump()
    return logits_of(
        kind,
        "domain",
        GROUPS,
        SENTENCES,
        settings=FilterParams.model_validate(raw),
        teacher=teacher,
        quantization=Quantization(kind=held),
        batch_size=2,
    )(SENTENCES).each


@pytest.mark.parametrize("kind", ["keywords", "embedding", "nli", "teacher"])
def test_every_kind_of_scorer_is_built(kind: Any, tmp_path: Path, teacher_folder: Path) -> None:
    found = _logits_of(kind, "none", tmp_path, teacher_folder)
    assert found.shape == (len(SENTENCES), len(GROUPS))
    assert np.isfinite(found).all()
    assert found.std(axis=0).min() > 0


@pytest.mark.parametrize("kind", ["embedding", "teacher"])
def test_a_teacher_held_in_four_bits_is_so_for_the_filter(
    kind: Any, tmp_path: Path, teacher_folder: Path
) -> None:
    whole = _logits_of(kind, "none", tmp_path / "whole", teacher_folder)
    packed = _logits_of(kind, "nf4", tmp_path / "packed", teacher_folder)
    assert not np.array_equal(whole, packed)
    assert np.isfinite(packed).all()
