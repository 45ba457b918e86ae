"""The OpenAI-compatible engine says of a model what the transformers engine says of it."""

import itertools
import os

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from akd.models.scoring import TextScorer
from akd.prompts.template import label_tokens
from akd.teacher.answers import label_scores
from akd.teacher.transformers import transformers_teacher
from tests.conftest import SENTENCES
from tests.teacher.completion_server import (
    PLAIN,
    VOCABULARY,
    CompletionServer,
    ledger,
    teacher_at,
)

CHAT = PLAIN.model_copy(update={"chat": True, "system": "Be brief."})
TEXTS = [f"{text} {number}" for number in range(4) for text in SENTENCES]


def beginnings(word: str, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Return the tokens of three letters or more with which a word can begin, and the word."""
    pieces = {word[:end] for end in range(3, len(word) + 1)}
    return [token for token in range(len(tokenizer)) if tokenizer.decode([token]).strip() in pieces]


def summed(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: tuple[str, str],
) -> NDArray[np.float32]:
    """Score TEXTS with the transformers engine, all beginnings of each word summed."""
    tokens = [beginnings(word, tokenizer) for word in PLAIN.words]
    before, after = (tokenizer(text, add_special_tokens=False).input_ids for text in texts)
    scorer = TextScorer(
        model,
        tokenizer,
        before=before,
        after=after,
        labels=[[token] for token in itertools.chain(*tokens)],
        text_tokens=100,
        batch_size=4,
        layers=[],
    )
    found = scorer.score(TEXTS).log_probabilities
    ends = np.cumsum([len(of_word) for of_word in tokens])[:-1]
    parts = np.split(found, ends, axis=1)
    return np.stack([np.logaddexp.reduce(part, axis=1) for part in parts], axis=1)


def test_it_agrees_with_the_transformers_engine(
    server: CompletionServer, tokenizer: PreTrainedTokenizerFast
) -> None:
    """All beginnings of a label word are summed, here over the whole vocabulary."""
    scores = teacher_at(server.url).score(TEXTS)
    assert len(beginnings("danger", tokenizer)) > 2
    around = ("Say danger, advice or harmless.\n\nNews:\n", "\nThis is")
    expected = summed(server.model, tokenizer, around)
    np.testing.assert_allclose(scores.log_probabilities, expected, atol=1e-3)
    assert scores.decision.shape == (20, 0)
    assert scores.states.shape == (20, 0, 0)


def test_it_agrees_on_one_token_where_the_model_says_whole_words(
    server: CompletionServer, tokenizer: PreTrainedTokenizerFast
) -> None:
    head = nn.Linear(32, VOCABULARY)
    head.weight.data = server.model.get_output_embeddings().weight.data.clone()
    head.bias.data.zero_()
    for word, first in zip(PLAIN.words, label_tokens(PLAIN, tokenizer), strict=True):
        head.bias.data[[token for token in beginnings(word, tokenizer) if token != first]] = -30
    server.model.set_output_embeddings(head)
    reference = transformers_teacher(
        server.model, tokenizer, prompt=PLAIN, text_tokens=100, batch_size=4, layers=[]
    )
    expected = reference.score(TEXTS).log_probabilities
    found = teacher_at(server.url).score(TEXTS).log_probabilities
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_chat_prompt_goes_as_messages(
    server: CompletionServer, tokenizer: PreTrainedTokenizerFast
) -> None:
    scores = teacher_at(server.url, prompt=CHAT).score(TEXTS)
    head = "<s>system\nBe brief.</s>\n<s>user\nSay danger, advice or harmless.\n\nNews:\n"
    expected = summed(server.model, tokenizer, (head, "\nThis is</s>\n<s>assistant\n"))
    np.testing.assert_allclose(scores.log_probabilities, expected, atol=1e-3)
    assert [message["role"] for message in server.bodies[0]["messages"]] == ["system", "user"]


def test_results_keep_the_order_of_the_texts(server: CompletionServer) -> None:
    one_by_one = teacher_at(server.url, concurrency=1).score(TEXTS)
    assert server.most == 1
    server.delay = 0.05
    shuffled = teacher_at(server.url, concurrency=3).score(TEXTS)
    assert server.most == 3
    np.testing.assert_allclose(shuffled.log_probabilities, one_by_one.log_probabilities, atol=1e-5)


def test_nothing_is_asked_for_no_text_and_a_long_text_is_cut(server: CompletionServer) -> None:
    assert teacher_at(server.url).score([]).log_probabilities.shape == (0, 3)
    teacher_at(server.url, read=lambda texts: [text[:3] for text in texts]).score(["abcdef"])
    assert [body["prompt"][-14:] for body in server.bodies] == ["s:\nabc\nThis is"]


def test_label_scores_sum_floor_and_count() -> None:
    top = [(" dan", -1.0), ("danger\n", -2.0), ("amb", -3.0), ("to", -4.0), ("风", -4.5), (" ", -5)]
    none = [(" a", -1.5), ("da", -4.2), (" dangerous", -5.5)]
    scores = label_scores(top + none, ["danger", "amber", "ambush", "advice", "to", "风险"])
    lowest = -5.5  # of "amber" and "ambush", which begin alike, and of "advice"
    expected = [np.logaddexp(-1, -2), lowest, lowest, lowest, -4.0, -4.5]
    np.testing.assert_allclose(scores.log_probabilities, expected)
    assert scores.missing == 3
    rest = 1 - sum(np.exp([value for _, value in top + none]))
    assert scores.missing_mass == pytest.approx(rest)
    sure = label_scores([("bad", -1e-4)], ["bad", "good"])
    assert sure.log_probabilities[1] == pytest.approx(np.log(1 - np.exp(-1e-4)))
    unlikely = label_scores([("bad", -1e-4), ("good", -9999.0)], ["bad", "good"])
    assert np.exp(unlikely.log_probabilities).min() > 0
    whole = label_scores([("bad", 0.0)], ["bad", "good"])
    assert whole.log_probabilities[1] < -15  # what a float32 sum cannot exclude
    assert whole.missing_mass == 0.0


def test_a_label_outside_the_alternatives_is_counted(server: CompletionServer) -> None:
    booked = ledger()
    teacher = teacher_at(server.url, top_log_probabilities=3, ledger=booked)
    found = teacher.score(TEXTS).log_probabilities
    assert np.isfinite(found).all()
    report = booked.report
    assert report.requests == sum(report.labels_missing) == 20
    assert report.labels_missing[0] < 20
    assert 0.2 < report.mean_missing_mass < 1
    assert report.prompt_tokens > 20 * 20
    assert report.cost == pytest.approx(report.prompt_tokens * 0.5e-6)
    assert "20 requests" in booked.spent()
    assert ledger().report.mean_missing_mass == 0.0


@pytest.mark.slow
@pytest.mark.skipif("AKD_LLAMA_SERVER" not in os.environ, reason="AKD_LLAMA_SERVER names none")
def test_a_real_server_scores() -> None:
    """AKD_LLAMA_SERVER is the base URL of a compatible server on loopback, .../v1 included."""
    prompt = PLAIN.model_copy(update={"words": ("bad", "good", "sad"), "cue": "\nThis news is"})
    booked = ledger()
    teacher = teacher_at(
        os.environ["AKD_LLAMA_SERVER"],
        prompt=prompt,
        top_log_probabilities=20,
        concurrency=2,
        timeout=120.0,
        ledger=booked,
    )
    scores = teacher.score(SENTENCES)
    assert (np.exp(scores.log_probabilities).sum(axis=1) <= 1).all()
    assert booked.report.requests == len(SENTENCES)
    assert booked.report.labels_missing[-1] < len(SENTENCES)
    again = teacher.score(SENTENCES[::-1]).log_probabilities[::-1]
    np.testing.assert_allclose(again, scores.log_probabilities, atol=0.05)
