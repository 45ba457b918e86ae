"""The service Event Registry: what may pass is tried again, what does not is one sentence."""

import re
import sys
from collections import deque
from pathlib import Path
from time import monotonic

import pytest
from eventregistry import EventRegistry

from akd.corpus.sources.event_registry_service import Service
from tests.corpus.event_registry_server import (
    KEY,
    FakeEventRegistry,
    Fault,
    refusal_of,
    rows_of,
)

USED_UP = "You have used all available tokens. Please subscribe to a paid plan."
BUSY = Fault(status=429, text="Too many simultaneous requests", retry_after=1)
EMPTY = '{"articles": {"results": [], "totalResults": 250, "page": 2, "count": 100, "pages": 3}}'
BROKEN = Fault(status=500, text="Internal error")


@pytest.mark.parametrize("fault", [BROKEN, BUSY, Fault(cut="bytes"), Fault(cut="json")])
def test_what_may_pass_is_tried_again(server: FakeEventRegistry, pages: Path, fault: Fault) -> None:
    server.faults = deque([None, fault, fault, None, fault])
    assert len(rows_of(pages)) == 250
    assert server.served == [1, 2, 3]
    assert server.pages_asked() == [1, 2, 2, 2, 3, 3]


def test_a_busy_service_is_given_the_time_it_asks_for(
    server: FakeEventRegistry, pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[EventRegistry.__module__], "MAX_RETRY_DELAY", 0.3)
    server.faults = deque([BUSY])
    start = monotonic()
    rows_of(pages, maximum=1)
    assert monotonic() - start > 0.3


def test_refusals_count_in_a_row_only(server: FakeEventRegistry, pages: Path) -> None:
    server.faults = deque([*[BUSY] * 11, None, *[BUSY] * 11])
    assert len(rows_of(pages)) == 250
    assert server.pages_asked() == [1] * 12 + [2] * 12 + [3]


@pytest.mark.parametrize(
    ("fault", "told", "requests"),
    [
        (Fault(status=401, text=USED_UP), "tokens of the key are used up", 1),
        (Fault(status=403, text=USED_UP), "tokens of the key are used up", 1),
        (Fault(status=403, text=f"{KEY} is disabled"), r"\(\*\*\* is disabled\): the key is", 1),
        (Fault(status=400, text="bad lang"), r"\(bad lang\): the query is refused", 1),
        (Fault(text='{"error": "No such keyword"}'), "the query is refused", 1),
        (Fault(text='{"error": "All tokens were used"}'), "tokens of the key are used up", 1),
        (BROKEN, r"\(Internal error\): the service is down", 6),
        (Fault(cut="bytes"), "it does not answer, check the network", 6),
        (Fault(text=f'{{"articles": "{KEY}'), "the answer is not understood", 6),
        (BUSY, "too many requests at once", 12),
        (Fault(text='{"articles": {"results": []}}'), "holds no list of articles", 1),
        (Fault(text="[]"), "holds no list of articles", 1),
        (Fault(text=EMPTY), "there are no articles", 1),
    ],
)
def test_what_does_not_pass_is_one_sentence(
    server: FakeEventRegistry, pages: Path, fault: Fault, told: str, requests: int
) -> None:
    server.faults = deque([None])
    server.always = fault
    refusal = refusal_of(pages)
    assert refusal.startswith("Event Registry, page 2 of domain 'floods'")
    assert re.search(told, refusal)
    assert server.pages_asked() == [1] + requests * [2]
    server.always = None
    assert len(rows_of(pages)) == 250
    assert server.served == [1, 2, 3]


def test_a_refused_key_and_a_dead_service(
    server: FakeEventRegistry, pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTREGISTRY_API_KEY", "wrong")
    assert "(The API key *** is not valid.): the key is refused" in refusal_of(pages)
    monkeypatch.setenv("EVENTREGISTRY_HOST", "http://127.0.0.1:9")
    assert "it does not answer, check the network and EVENTREGISTRY_HOST" in refusal_of(pages)


def test_the_key_is_hidden_in_what_the_client_logs(
    server: FakeEventRegistry, pages: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.always = Fault(warning=f"{KEY} asks too much")
    rows_of(pages)
    assert "*** asks too much" in caplog.text


def test_without_another_host_it_is_the_official_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVENTREGISTRY_HOST", raising=False)
    client = EventRegistry(apiKey="none", settingsFName="/dev/null/none")
    assert Service().host == client.getHost()
