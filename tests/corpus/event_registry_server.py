"""A made-up Event Registry on loopback: requests and answers have the shapes of the real one."""

import json
import math
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Literal

import pytest

from akd.corpus.sources import event_registry
from akd.corpus.sources.row import Row
from akd.errors import InputError
from akd.specs.sources import Domain, EventRegistrySource, Query

SOURCE = EventRegistrySource(kind="event_registry", name="er", domains=["floods"])
KEY = "7d0e5a3c-made-up-key-41f9"

Article = dict[str, Any]


def made_up(number: int, **fields: Any) -> Article:
    """Return article `number`: two a day from 1 January 2020 on, with the fields of the real ones.

    The even ones are English and tell of a flood, the odd ones German and of a storm.
    """
    day = (date(2020, 1, 1) + timedelta(days=number // 2)).isoformat()
    is_english = number % 2 == 0
    return {
        "uri": f"{6_000_000_000 + number}",
        "lang": "eng" if is_english else "deu",
        "isDuplicate": False,
        "date": day,
        "time": "09:30:00",
        "dateTime": f"{day}T09:30:00Z",
        "dateTimePub": f"{day}T09:12:00Z",
        "dataType": "news",
        "sim": 0,
        "url": f"https://news.example/{number}",
        "title": f"Title {number}",
        "body": f"A flood, report {number}." if is_english else f"Ein Sturm, Bericht {number}.",
        "source": {"uri": "news.example", "dataType": "news"},
        "wgt": number,
        "relevance": 1,
        **fields,
    }


@dataclass(frozen=True)
class Fault:
    """What one request gets instead of its answer.

    `cut`: the answer ends early, as bytes (less than Content-Length says) or as JSON. `page`: the
    articles of that page instead. `text` alone, with status 200, replaces the answer.
    """

    status: int = 200
    text: str = ""
    retry_after: int | None = None
    warning: str = ""
    cut: Literal["", "bytes", "json"] = ""
    page: int | None = None


@dataclass
class FakeEventRegistry:
    """What the service holds, what will go wrong, and what it was asked.

    Attributes:
        faults: of the next requests, in their order; None is for one that goes well.
        always: the fault of every request after those.
        hanging_page: gets no answer; `reached` is set when it is asked for.
        asked: bodies of all requests; `served`: pages that were sent whole.
    """

    articles: list[Article]
    host: str = ""
    faults: deque[Fault | None] = field(default_factory=deque)
    always: Fault | None = None
    hanging_page: int | None = None
    reached: Event = field(default_factory=Event)
    released: Event = field(default_factory=Event)
    asked: list[dict[str, Any]] = field(default_factory=list)
    served: list[int] = field(default_factory=list)

    def pages_asked(self) -> list[int]:
        """Return the page numbers of all requests, in their order."""
        return [body["articlesPage"] for body in self.asked]

    def answer(self, body: dict[str, Any], page: int) -> dict[str, Any]:
        """Return the answer of getArticles to a request body."""
        found = sorted(
            (article for article in self.articles if _matches(article, body)),
            key=lambda article: article["date"],
            reverse=not body["articlesSortByAsc"],
        )
        count = body["articlesCount"]
        return {
            "articles": {
                "results": found[(page - 1) * count : page * count],
                "totalResults": len(found),
                "page": page,
                "count": count,
                "pages": math.ceil(len(found) / count),
            }
        }


def _matches(article: Article, body: dict[str, Any]) -> bool:
    text = str(article.get("body") or "").lower()
    held = [keyword.lower() in text for keyword in body["keyword"]]
    is_found = any(held) if body["keywordOper"] == "or" else all(held)
    in_time = body["dateStart"] <= article["date"] <= body["dateEnd"]
    return is_found and in_time and article["lang"] in body.get("lang", [article["lang"]])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeEventRegistry  # of the subclass that `serving` makes

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fake = self.fake
        fake.asked.append(body)
        page = body["articlesPage"]
        fault = fake.faults.popleft() if fake.faults else fake.always
        if page == fake.hanging_page:
            fake.reached.set()
            fake.released.wait(60)
            self.close_connection = True
        elif self.path != "/api/v1/article" or body["action"] != "getArticles":
            self._send(Fault(status=404, text="Not found"))
        elif body.get("apiKey") != KEY:
            # The worst that a service could do: it repeats the key.
            self._send(Fault(status=401, text=f"The API key {body.get('apiKey')} is not valid."))
        elif fault is not None and fault.text:
            self._send(fault)
        else:
            self._send_page(body, page, fault or Fault())

    def _send_page(self, body: dict[str, Any], page: int, fault: Fault) -> None:
        shown = page if fault.page is None else fault.page
        text = json.dumps(self.fake.answer(body, shown))
        if not fault.cut:
            self.fake.served.append(page)
        cut = text[: len(text) // 2] if fault.cut == "json" else text
        self._send(Fault(text=cut, warning=fault.warning, cut=fault.cut))

    def _send(self, fault: Fault) -> None:
        content = fault.text.encode()
        self.send_response(fault.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if fault.retry_after is not None:
            self.send_header("Retry-After", str(fault.retry_after))
        if fault.warning:
            self.send_header("warning", fault.warning)
        self.end_headers()
        if fault.cut == "bytes":
            content = content[: len(content) // 2]
            self.close_connection = True
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing: the tests look at what is printed."""


@contextmanager
def serving(articles: Sequence[Article]) -> Iterator[FakeEventRegistry]:
    """Serve these articles on a free port of 127.0.0.1 until the block ends."""
    fake = FakeEventRegistry(list(articles))
    handler = type("Handler", (_Handler,), {"fake": fake})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        fake.host = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield fake
        finally:
            fake.released.set()
            server.shutdown()
            thread.join()


def flood_domains(**changes: Any) -> dict[str, Domain]:
    """Return one domain that finds all the English articles, but for the changes of its query."""
    keywords = changes.pop("keywords", ["flood", "earthquake"])
    settings = {"start": "2020-01-01", "end": "2021-12-31", "languages": [], "maximum": 1_000}
    query = Query.model_validate({**settings, **changes})
    return {"floods": Domain(keywords=keywords, query=query)}


def rows_of(pages: Path, **changes: Any) -> list[Row]:
    """Return what the source yields for the domain."""
    return list(event_registry.read(SOURCE, flood_domains(**changes), pages))


def refusal_of(pages: Path, **changes: Any) -> str:
    """Return the sentence with which the source ends, once the key is known not to be near it."""
    with pytest.raises(InputError) as refused:
        rows_of(pages, **changes)
    assert KEY not in "".join(traceback.format_exception(refused.value))
    return str(refused.value)
