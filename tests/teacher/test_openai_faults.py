"""The OpenAI-compatible engine and faults: waited out, or one sentence; the key is never shown."""

import logging
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from akd.errors import InputError
from akd.prompts.calibration import Calibrator
from akd.prompts.template import render_text
from akd.records import Scores
from akd.teacher.label import signals
from akd.teacher.ledger import Journal, Ledger
from akd.teacher.server import key_from_environment
from akd.teacher.store import Store, score_all
from tests.conftest import SENTENCES
from tests.teacher.completion_server import (
    KEY,
    PLAIN,
    CompletionServer,
    ledger,
    teacher_at,
)

USAGE = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
BARE = {"choices": [{"index": 0, "text": "x", "logprobs": None}], "usage": USAGE}
LOGITS = {"choices": [{"logprobs": {"top_logprobs": [{"a": 8.1}]}}], "usage": USAGE}
HEAVY = {"choices": [{"logprobs": {"top_logprobs": [{"a": -0.1, "b": -0.1}]}}], "usage": USAGE}
ALONE: list[dict[str, Any]] = [  # a token, and no alternatives to it
    {"tokens": ["x"], "token_logprobs": [-0.5]},
    {"tokens": ["x"], "token_logprobs": [-0.5], "top_logprobs": None},
    {"content": [{"token": "x", "logprob": -0.1}]},
    {"content": [{"token": "x", "logprob": -0.1, "top_logprobs": []}]},
    {"content": 5},
    {"top_logprobs": {"a": -1.0}},
]
UNCOUNTED = {"choices": [{"logprobs": {"top_logprobs": [{"a": -0.1}]}}]}


def test_rate_limits_and_failures_are_waited_out(server: CompletionServer) -> None:
    server.faults = [
        lambda handler: handler.refuse(429, "slow down", Retry_After="0.7"),
        None,
        lambda handler: handler.refuse(500, "oops"),
        None,
        lambda handler: handler.close_connection_early(),
        None,
    ]
    waited = teacher_at(server.url, concurrency=1).score(SENTENCES[:3])
    assert server.arrivals[1] - server.arrivals[0] >= 0.7  # unasked, it waits at most 0.5 s
    assert len(server.bodies) == 6
    sound = teacher_at(server.url).score(SENTENCES[:3])
    np.testing.assert_array_equal(waited.log_probabilities, sound.log_probabilities)


FAULTS: dict[str, Callable[[Any], None]] = {
    r"limits the rate \(up to 0 retries\)": lambda handler: handler.refuse(429, "slow down"),
    r"fails with status 503 \(up to 0 retries\)": lambda handler: handler.refuse(503, "busy"),
    r"refuses the key": lambda handler: handler.refuse(403, f"no access for {KEY}"),
    r"Error code: 400 .*at most 5.*logprobs, \*\*\*": lambda handler: handler.refuse(
        400, f"at most 5\nlogprobs, {KEY}"
    ),
    r"drops the connection": lambda handler: handler.close_connection_early(),
    r"did not answer within 0.3 s": lambda handler: time.sleep(0.6),
    r"JSON that is cut off": lambda handler: handler.send(200, BARE, cut=7),
    r"JSON that is cut off or broken:": lambda handler: handler.send(200, "x", cut=1),
    r"without log-probabilities": lambda handler: handler.send(200, BARE),
    r"without log-probabilities of": lambda handler: handler.send(200, LOGITS),
    **{
        rf"without log-probabilities of a first token{'.' * number}": (
            lambda handler, logprobs=logprobs: handler.send(
                200, {"choices": [{"logprobs": logprobs}], "usage": USAGE}
            )
        )
        for number, logprobs in enumerate(ALONE)
    },
    r"without log-probabilities of a": lambda handler: handler.send(200, []),
    r"add up to more than 1": lambda handler: handler.send(200, HEAVY),
    r"does not say how many tokens": lambda handler: handler.send(200, UNCOUNTED),
}


@pytest.mark.parametrize("complaint", FAULTS)
def test_a_fault_is_one_sentence_without_the_key(
    server: CompletionServer, complaint: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.faults = [None, FAULTS[complaint]]
    seconds = 0.3 if "within" in complaint else 10.0
    teacher = teacher_at(server.url, retries=0, concurrency=2, timeout=seconds)
    with pytest.raises(InputError, match=complaint) as caught:
        teacher.score(SENTENCES)
    message = str(caught.value)
    assert message.startswith(f"the teacher tiny at {server.url} ")
    assert "\n" not in message
    assert KEY not in "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "never retrieved" not in caplog.text


def test_an_answer_that_comes_too_late_is_asked_for_again(server: CompletionServer) -> None:
    expected = teacher_at(server.url).score(SENTENCES).log_probabilities
    server.faults = [lambda _handler: time.sleep(2.5)]
    patient = teacher_at(server.url, retries=1, timeout=2.0)  # ample for a sound answer
    np.testing.assert_array_equal(patient.score(SENTENCES).log_probabilities, expected)
    assert len(server.bodies) == 2 * len(SENTENCES) + 1


def test_a_wrong_key_model_or_address(server: CompletionServer) -> None:
    with pytest.raises(InputError, match="refuses the key in OPENAI_API_KEY") as caught:
        teacher_at(server.url, api_key="sk-wrong-one").score(SENTENCES)
    assert "sk-wrong-one" not in str(caught.value)
    with pytest.raises(InputError, match="the teacher large at .* does not exist: check the mo"):
        teacher_at(server.url, model="large").score(SENTENCES)
    with pytest.raises(InputError, match="does not exist"):
        teacher_at(server.url.removesuffix("/v1")).score(SENTENCES)
    with pytest.raises(InputError, match="drops the connection"):
        teacher_at("http://127.0.0.1:9/v1", retries=0).score(SENTENCES)
    for address in ("localhost:8000/v1", "http://localhost:80a0/v1", "http://[::1", "http:///v1"):
        with pytest.raises(InputError, match=r"begin it with http\(s\)://"):
            teacher_at(address)


def test_a_word_must_not_begin_another() -> None:
    prompt = PLAIN.model_copy(update={"words": ("safety", "safe", "bad")})
    with pytest.raises(InputError, match="'safe' begins 'safety'"):
        teacher_at("http://127.0.0.1:9/v1", prompt=prompt)


def test_what_is_paid_for_is_booked_and_kept_when_another_answer_fails(
    server: CompletionServer, tmp_path: Path
) -> None:
    store, books = Store(tmp_path, {}, Scores), ledger()
    server.faults = [lambda handler: handler.send(200, BARE)]
    server.delay = 0.2  # so that the others are under way
    teacher = teacher_at(server.url, ledger=books, concurrency=3, retries=0)
    with pytest.raises(InputError, match="without log-probabilities"):
        score_all(teacher.score, SENTENCES[:3], store, 64)
    assert len(store.missing(SENTENCES[:3])) == 1
    before, after = render_text(PLAIN)
    asked = [body["prompt"].removeprefix(before).removesuffix(after) for body in server.bodies]
    sound = [f"{before}{text}{after}" for text in asked[1:]]
    tokens = sum(len(server.tokenizer(prompt).input_ids) for prompt in sound)
    assert books.report.prompt_tokens == tokens + USAGE["prompt_tokens"]


EMPTY: dict[str, Any] = {
    "top_logprobs: []": {"logprobs": {"tokens": [], "top_logprobs": []}},
    "top_logprobs: [null]": {"logprobs": {"tokens": ["x"], "top_logprobs": [None]}},
    "content: []": {"logprobs": {"content": [], "refusal": None}},
    "content: null": {"logprobs": {"content": None, "refusal": None}},
}


@pytest.mark.parametrize("kind", ["refused", *EMPTY])
def test_a_text_without_an_answer_is_named_and_all_others_are_kept(
    server: CompletionServer, tmp_path: Path, kind: str
) -> None:
    def fault(handler: Any) -> None:
        if kind == "refused":
            handler.refuse(400, f"content filter {KEY}")
        else:
            handler.send(200, {"choices": [EMPTY[kind]], "usage": USAGE})

    store = Store(tmp_path, {}, Scores)
    server.faults = [fault, None, fault]
    teacher = teacher_at(server.url, concurrency=1, retries=0)
    with pytest.raises(InputError, match="refuses 2 of the articles") as told:
        score_all(teacher.score, SENTENCES, store, 2)
    missing = store.missing(SENTENCES)  # others of this shard, and later shards, are not
    assert len(missing) == 2
    why = "content filter" if kind == "refused" else "log-probabilities of no token"
    assert why in str(told.value)
    assert all(text[:60] in str(told.value) for text in missing)
    assert KEY not in str(told.value)
    assert len(server.bodies) == len(SENTENCES)


def _refuses(word: str) -> Callable[[Any], None]:
    """Return a fault that refuses the texts that hold a word, and answers all others."""

    def fault(handler: Any) -> None:
        body = handler.server.bodies[-1]
        if word in body["prompt"]:
            handler.refuse(400, "too strong")
        else:
            handler.send(200, handler.completion(body))

    return fault


def test_refused_texts_hide_no_others_in_later_runs(
    server: CompletionServer, tmp_path: Path
) -> None:
    bad = [f"curse {number}" for number in range(12)]
    store = Store(tmp_path, {}, Scores)
    server.faults = [_refuses("curse")] * 99
    teacher = teacher_at(server.url, concurrency=1, retries=0)
    for texts in ([*bad, *SENTENCES[:1]], [*bad, *SENTENCES]):
        with pytest.raises(InputError, match=r"refuses 12 of the articles \(.*, \.\.\.\); of the"):
            score_all(teacher.score, texts, store, 4 if store else 16)
        assert store.missing(texts) == bad


def test_of_many_requests_under_way_no_text_is_left_out(
    server: CompletionServer, tmp_path: Path
) -> None:
    texts = [f"{SENTENCES[0]} {number}" for number in range(30)]
    store = Store(tmp_path, {}, Scores)
    server.faults = [lambda handler: handler.refuse(400, "too strong")] * 9
    server.delay = 0.05
    with pytest.raises(InputError, match="refuses 9 of the articles"):
        score_all(teacher_at(server.url, concurrency=8, retries=0).score, texts, store, 30)
    assert len(store.missing(texts)) == 9
    server.faults = [lambda handler: handler.refuse(400, "too strong")] * 9
    more = [f"{text} more" for text in texts]
    server.faults += [None, lambda handler: handler.refuse(403, "no more")] * 9
    one = teacher_at(server.url, concurrency=1, retries=0)
    with pytest.raises(InputError, match="refuses the key.*; before, 9 articles were refused"):
        score_all(one.score, [*texts, *more], store, 9)


def test_a_server_that_answers_nothing_is_not_asked_about_every_text(
    server: CompletionServer, tmp_path: Path
) -> None:
    server.faults = [lambda handler: handler.refuse(400, "no logprobs here")] * 99
    teacher = teacher_at(server.url, concurrency=1, retries=0)
    texts = [f"{SENTENCES[0]} {number}" for number in range(40)]
    with pytest.raises(InputError, match="refuses 10 of the articles"):
        score_all(teacher.score, texts, Store(tmp_path, {}, Scores), 10)
    assert len(server.bodies) == 10


def test_processes_share_a_budget(tmp_path: Path) -> None:
    one, other = (Ledger(100, 1.0, 0.0, Journal(tmp_path / "spent" / "a.txt")) for _ in range(2))
    assert other.allows(["x" * 60])
    one.bill("x" * 60, 60)
    assert not other.allows(["x" * 180])
    assert other.allows(["x" * 90])
    other.bill("x", 30)
    assert "60 tokens in other runs" in other.exhausted()
    assert "30 tokens in other runs" in one.exhausted()


@pytest.mark.parametrize("cap", ["tokens", "money"])
def test_a_budget_that_runs_out_and_a_larger_one(
    server: CompletionServer, tmp_path: Path, cap: str
) -> None:
    texts = [f"{SENTENCES[0]} {number}" for number in range(8)]
    store = Store(tmp_path, {}, Scores)
    before, after = render_text(PLAIN)
    length = len(server.tokenizer(f"{before}{texts[0]}{after}").input_ids)
    used = 6 * length - 1
    limit = {"token_budget": used} if cap == "tokens" else {"cost_budget": used * 0.5e-6}
    small = ledger(**limit)
    # One at a time, so that none of its requests arrives after the count begins.
    stranger = teacher_at(server.url, api_key="sk-wrong-one", concurrency=1)
    with pytest.raises(InputError, match="refuses the key"):  # before any answer
        score_all(stranger.score, texts, store, 2)
    server.bodies.clear()
    poor = teacher_at(server.url, ledger=small)
    with pytest.raises(InputError, match=r"does not allow the next request: 5 articles were"):
        score_all(poor.score, texts, store, 2)
    assert small.report.requests == len(server.bodies) == 5
    assert small.report.prompt_tokens <= used
    scores = score_all(teacher_at(server.url).score, texts, store, 2)
    assert len(server.bodies) == 8  # half a shard was kept as well: nothing is paid for twice
    frame, hidden = signals(
        [str(row) for row in range(8)],
        scores,
        Calibrator(np.zeros(3), 1.0, [], 1.0, np.zeros(3)),
        "abc",
    )
    assert frame.height == 8
    assert hidden.shape == (8, 0)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InputError, match="OPENAI_API_KEY is not set"):
        key_from_environment()
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    assert key_from_environment() == KEY
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ä")
    with pytest.raises(InputError, match="characters that no key has") as caught:
        key_from_environment()
    assert "sk-" not in str(caught.value)
