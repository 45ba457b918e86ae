"""Articles of RSS and Atom feeds, as they are at the time of fetching."""

import calendar
import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit
from xml.sax import SAXException

import feedparser
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from akd.corpus.sources.row import Row, unreadable
from akd.errors import InputError
from akd.specs.sources import RssSource

_RETRIES = 4  # after no answer, 429 and 5xx
_BACKOFF_SECONDS = 0.5  # doubled from try to try, where the server names no time
_LONGEST_WAIT_SECONDS = 60  # whatever `Retry-After` says
_TIMEOUT_SECONDS = (10, 30)  # to connect; between two packets
_MAX_BYTES = 2**26  # of a feed: a radio stream has no end


def read(source: RssSource) -> Iterator[Row]:
    """Yield a row for each entry, feed by feed; `id` only where the entry has an id or a link.

    The text is the longest that the feed has of the entry, with its markup. The language is that
    of the feed where it says one (ISO 639-1), else that of the source.

    Raises:
        InputError: if a feed cannot be had, or is none.
    """
    with _session() as session:
        for url in source.feeds:
            feed = _parse(*_download(session, str(url)), str(url))
            hint = _language(feed["feed"]) or source.language
            fixed = {"source": source.name, "domain": source.domain, "language_hint": hint}
            for number, entry in enumerate(feed["entries"], start=1):
                yield _row(entry, fixed, f"{_public(str(url))}: entry {number}")


def _session() -> requests.Session:
    retry = Retry(
        total=_RETRIES,
        backoff_factor=_BACKOFF_SECONDS,
        retry_after_max=_LONGEST_WAIT_SECONDS,
        status_forcelist=(429, *range(500, 600)),
        raise_on_status=False,
    )
    session = requests.Session()
    session.headers["User-Agent"] = f"akd/{version('akd')} (+RSS source)"
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _download(session: requests.Session, url: str) -> tuple[bytes, dict[str, str]]:
    """Return the body of the answer, and of its headers what says how to read it."""
    try:
        with session.get(url, timeout=_TIMEOUT_SECONDS, stream=True) as response:
            if not response.ok:
                raise _refused(url, f"HTTP status {response.status_code}")
            body = bytearray()
            for part in response.iter_content(2**16):
                body += part
                if len(body) > _MAX_BYTES:
                    raise _refused(url, f"more than {_MAX_BYTES // 2**20} MiB")
    except requests.RequestException as error:
        # Its message holds the whole URL; what happened is the class of the error at its root.
        root = getattr(error.args[0], "reason", None) if error.args else None
        raise _refused(url, type(root or error).__name__) from None
    headers = {
        "content-type": response.headers.get("Content-Type", ""),
        "content-location": _public(response.url),  # against which links in the texts are resolved
    }
    return bytes(body), headers


def _parse(body: bytes, headers: dict[str, str], url: str) -> Any:
    try:
        feed = feedparser.parse(io.BytesIO(body), response_headers=headers)
    except (ArithmeticError, LookupError, ValueError) as error:
        # The parser forgives much, but not a character beyond Unicode or damage in a name.
        raise _refused(url, f"a broken feed: {error}") from None
    fault = feed.get("bozo_exception")
    # Feeds that break a rule of XML are common, and their entries can be read all the same.
    if not feed["entries"] and (isinstance(fault, SAXException) or not feed.get("version")):
        kind = headers["content-type"] or "an answer of unknown type"
        raise _refused(url, f"{kind} without a feed in it")
    return feed


def _row(entry: Any, fixed: dict[str, str], where: str) -> Row:
    title = entry.get("title") or ""
    parts = (part.get("value") for part in entry.get("content", []))
    text = max((found or "" for found in (entry.get("summary"), *parts)), key=len)
    link = entry.get("link") or ""
    if not (title.strip() or text.strip()):
        return unreadable(fixed, link, "empty_entry", f"{where} has neither title nor text")
    key = entry.get("id") or link
    named = {"id": key} if key else {}
    return {**fixed, **named, "title": title, "text": text, "published": _published(entry)}


def _published(entry: Any) -> str:
    """Return when the entry appeared, ISO 8601 in UTC; empty where it does not say or nonsense."""
    moment: time.struct_time | None = entry.get("published_parsed") or entry.get("updated_parsed")
    if moment is None or not 1 <= moment.tm_year <= 9999:
        return ""
    return datetime.fromtimestamp(calendar.timegm(moment), UTC).isoformat()


def _language(feed: Any) -> str:
    """Return ISO 639-1 of a code such as `en-US`; empty where the feed has none of two letters."""
    code = str(feed.get("language", "")).replace("_", "-").partition("-")[0].strip().lower()
    return code if len(code) == 2 and code.isascii() and code.isalpha() else ""


def _public(url: str) -> str:
    """Return a URL without what may be secret: user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _refused(url: str, reason: str) -> InputError:
    return InputError(
        f"feed {_public(url)} cannot be read ({reason}): check its address and the network, or "
        "take it out of `feeds` of the source"
    )
