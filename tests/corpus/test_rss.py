"""Feeds from a real server on this machine: entries, repeated tries, and what is no feed."""

import gzip
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from akd.corpus.sources import rss
from akd.corpus.sources.row import Row
from akd.errors import InputError
from akd.specs.sources import RssSource

RSS = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>News</title><language>en-GB</language>
<item><title>Flood</title><guid>urn:flood</guid><link>http://example.org/flood</link>
<description>Short.</description>
<content:encoded><![CDATA[<p>Water in the <a href="/town">town</a>.</p>]]></content:encoded>
<pubDate>Mon, 01 Jan 2024 00:30:00 +0200</pubDate></item>
<item><title>Fire</title><link>http://example.org/fire</link>
<description>A long description of the fire.</description><pubDate>0000-00-00</pubDate></item>
<item><description>Neither title nor link</description></item>
<item><link>http://example.org/empty</link><description> </description></item>
</channel></rss>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de-AT"><title>Nachrichten</title>
<entry><id>urn:1</id><title>Hochwasser</title><summary>Wasser in der Stadt.</summary>
<updated>2024-03-05T10:00:00Z</updated></entry></feed>"""

EMPTY = '<rss version="2.0"><channel><title>Nothing yet</title></channel></rss>'
PAGE = "<!doctype html><html><head><title>News</title></head><body><p>Hello</body></html>"


class Answer:
    """What the server says to one request."""

    def __init__(
        self, body: str | bytes = "", status: int = 200, missing: int = 0, **headers: str
    ) -> None:
        self.body = body.encode() if isinstance(body, str) else body
        self.status = status
        self.missing = missing  # bytes that are announced and never come
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Server(ThreadingHTTPServer):
    """A server with a list of answers for each path; the last one is given again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[Mapping[str, str]] = []

    def url(self, path: str, *answers: Answer, user: str = "") -> str:
        """Return the URL of a path that gives these answers."""
        self.answers[path] = list(answers)
        return f"http://{user}127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    """Gives the next answer of the path and keeps the headers of the request."""

    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.headers)
        answers = self.server.answers[self.path.partition("?")[0]]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(answer.status)
        headers = {"Content-Type": "application/xml", **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body) + answer.missing))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were to be waited between tries, none of which pass."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def _read(*urls: str, language: str = "fr") -> list[Row]:
    source = RssSource(
        kind="rss", name="feeds", feeds=list(urls), domain="crises", language=language
    )
    return list(rss.read(source))


def test_entries_of_rss_become_rows(server: Server) -> None:
    rows = _read(server.url("/feed", Answer(RSS)))
    town = f"http://127.0.0.1:{server.server_port}/town"
    assert rows[0] == {
        "id": "urn:flood",
        "source": "feeds",
        "domain": "crises",
        "language_hint": "en",
        "title": "Flood",
        "text": f'<p>Water in the <a href="{town}">town</a>.</p>',
        "published": "2023-12-31T22:30:00+00:00",
    }
    assert rows[1]["id"] == "http://example.org/fire"
    assert rows[1]["text"] == "A long description of the fire."
    assert rows[1]["published"] == ""
    assert rows[2]["title"] == ""
    assert "id" not in rows[2]


def test_entries_of_atom_become_rows(server: Server) -> None:
    [row] = _read(server.url("/feed", Answer(ATOM, Content_Type="application/atom+xml")))
    assert row["id"] == "urn:1"
    assert row["text"] == "Wasser in der Stadt."
    assert row["language_hint"] == "de"
    assert row["published"] == "2024-03-05T10:00:00+00:00"


def test_an_entry_with_neither_title_nor_text_is_rejected(server: Server) -> None:
    row = _read(server.url("/feed", Answer(RSS)))[3]
    assert row["reason"] == "empty_entry"
    assert row["text"] == "http://example.org/empty"
    place = f"http://127.0.0.1:{server.server_port}/feed: entry 4"
    assert row["detail"] == f"{place} has neither title nor text"


def test_feeds_come_in_order_and_an_empty_one_is_a_feed(server: Server) -> None:
    urls = [
        server.url("/atom", Answer(ATOM)),
        server.url("/empty", Answer(EMPTY, Content_Type="text/html")),
        server.url("/rss", Answer(RSS)),
    ]
    titles = [row["title"] for row in _read(*urls)]
    assert titles == ["Hochwasser", "Flood", "Fire", "", ""]


@pytest.mark.parametrize(
    ("language", "hint"), [("pt_BR", "pt"), ("eng", "fr"), ("", "fr"), ("english", "fr")]
)
def test_the_language_is_that_of_the_feed_or_of_the_source(
    server: Server, language: str, hint: str
) -> None:
    feed = RSS.replace("en-GB", language)
    assert _read(server.url("/feed", Answer(feed)))[0]["language_hint"] == hint


def test_encodings_of_text_and_of_transport_are_undone(server: Server) -> None:
    feed = ATOM.replace("<feed", '<?xml version="1.0" encoding="iso-8859-1"?><feed')
    body = gzip.compress(feed.replace("Stadt", "Städte").encode("latin-1"))
    [row] = _read(server.url("/feed", Answer(body, Content_Encoding="gzip")))
    assert row["text"] == "Wasser in der Städte."


def test_a_feed_that_breaks_a_rule_of_xml_is_read(server: Server) -> None:
    rows = _read(server.url("/feed", Answer(RSS.replace("Flood", "Flood &nbsp; & storm"))))
    assert len(rows) == 4
    assert rows[0]["title"] == "Flood \xa0 & storm"


def test_the_request_says_who_asks_and_with_which_credentials(server: Server) -> None:
    _read(server.url("/feed", Answer(ATOM), user="me:secret@"))
    [headers] = server.requests
    assert headers["User-Agent"].startswith("akd/")
    assert headers["User-Agent"].endswith(" (+RSS source)")
    assert headers["Authorization"].startswith("Basic ")


def test_a_failure_of_the_server_is_tried_again(server: Server) -> None:
    rows = _read(server.url("/feed", Answer(status=500), Answer(ATOM)))
    assert len(rows) == 1
    assert len(server.requests) == 2


def test_a_server_that_asks_to_wait_is_waited_for(server: Server, waits: list[float]) -> None:
    answers = [Answer(status=429, Retry_After="7"), Answer(status=429, Retry_After="86400")]
    assert len(_read(server.url("/feed", *answers, Answer(ATOM)))) == 1
    assert waits == [7, 60]


@pytest.mark.parametrize("status", [429, 503])
def test_tries_have_an_end(server: Server, waits: list[float], status: int) -> None:
    with pytest.raises(InputError, match=f"/feed cannot be read .HTTP status {status}."):
        _read(server.url("/feed", Answer(status=status)))
    assert len(server.requests) == 5
    assert waits == [1, 2, 4]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(status=404), "HTTP status 404"),
        (Answer(status=401), "HTTP status 401"),
        (Answer(RSS[:300], missing=500), "ChunkedEncodingError"),
        (Answer(b"no gzip", Content_Encoding="gzip"), "ContentDecodingError"),
        (Answer(PAGE, Content_Type="text/html"), "text/html without a feed in it"),
        (Answer(PAGE), "application/xml without a feed in it"),
        (Answer("", Content_Type=""), "an answer of unknown type without a feed in it"),
        (Answer('{"items": []}', Content_Type="application/json"), "application/json without"),
        (Answer(RSS.replace("Flood", "& &#99999999999;")), "a broken feed: "),
        (Answer(EMPTY[:40]), "application/xml without a feed in it"),
        (Answer(status=302, Location="ftp://127.0.0.1/feed"), "InvalidSchema"),
    ],
)
def test_what_is_no_feed_is_one_sentence_without_secrets(
    server: Server, answer: Answer, told: str
) -> None:
    url = server.url("/feed", answer, user="me:secret@")
    with pytest.raises(InputError) as caught:
        _read(f"{url}?token=secret")
    shown = f"http://127.0.0.1:{server.server_port}/feed"
    assert str(caught.value).startswith(f"feed {shown} cannot be read ({told}")
    assert str(caught.value).endswith("take it out of `feeds` of the source")
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_one_sentence(server: Server, waits: list[float]) -> None:
    url = server.url("/feed", user="me:secret@").replace(str(server.server_port), "1")
    with pytest.raises(InputError, match=r"http://127.0.0.1:1/feed .*\(NewConnectionError\)"):
        _read(url)


def test_an_answer_without_an_end_is_cut_short(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rss, "_MAX_BYTES", 2**20)
    with pytest.raises(InputError, match="more than 1 MiB"):
        _read(server.url("/feed", Answer(bytes(2**21))))


def test_credentials_do_not_get_into_the_texts(server: Server) -> None:
    rows = _read(server.url("/feed", Answer(RSS), user="me:secret@") + "?token=secret")
    assert "secret" not in str(rows)
