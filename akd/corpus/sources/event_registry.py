"""Articles of Event Registry (newsapi.ai), domain by domain and page by page."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import langcodes
from eventregistry import (
    ArticleInfoFlags,
    QueryArticles,
    QueryItems,
    RequestArticlesInfo,
    ReturnInfo,
    SourceInfoFlags,
)
from pydantic import BaseModel, ConfigDict, Field

from akd.console import bar
from akd.corpus.sources.event_registry_service import Service
from akd.corpus.sources.row import Row, unreadable
from akd.errors import InputError
from akd.io import write_text
from akd.specs.sources import Domain, EventRegistrySource, Query

_PAGE_SIZE = 100  # the most that the service gives at once; a page costs the same however full


class _Articles(BaseModel):
    """The service's list of articles; what else it says of them is kept, but not needed."""

    model_config = ConfigDict(frozen=True)

    results: list[Any]
    total: int = Field(alias="totalResults", ge=0)
    pages: int = Field(ge=0)


class _Page(BaseModel):
    """A page as it is stored: the day (UTC) on which it was asked for, and the answer."""

    model_config = ConfigDict(frozen=True)

    asked: date
    articles: _Articles


@dataclass(frozen=True)
class _Question:
    """What is asked for a domain."""

    domain: str
    keywords: list[str]
    languages: list[str]
    query: Query

    def page(self, number: int) -> QueryArticles:
        """Return the request of one page, oldest articles first, so that new ones come last."""
        wanted = ReturnInfo(
            articleInfo=ArticleInfoFlags(
                eventUri=False, authors=False, image=False, sentiment=False
            ),
            sourceInfo=SourceInfoFlags(title=False),
        )
        return QueryArticles(
            keywords=QueryItems.OR(self.keywords),  # type: ignore[no-untyped-call]
            lang=QueryItems.OR(self.languages),  # type: ignore[no-untyped-call]
            dateStart=self.query.start,
            dateEnd=self.query.end,
            requestedResult=RequestArticlesInfo(
                page=number, count=_PAGE_SIZE, sortBy="date", sortByAsc=True, returnInfo=wanted
            ),
        )

    def fingerprint(self, host: str) -> str:
        """Return a hash of all that decides the answers: the request as sent, and to whom."""
        first = self.page(1)
        decides = {"host": host, **first.queryParams, **vars(first.resultTypeList[0])}
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]


def read(source: EventRegistrySource, domains: Mapping[str, Domain], pages: Path) -> Iterator[Row]:
    """Yield the articles that hold any keyword of a domain, oldest first, domain after domain.

    A page of 100 articles is asked for, and paid for, once: it is stored before the next one is
    asked for, and a later run reads it. Without a missing page no key is needed. While the last
    day of a query is not over (UTC), its last page may still grow, and every run asks for that
    page again. What changes otherwise (late corrections of the service, a key whose plan covers
    more) shows only after the folder of the query was deleted.

    A duplicate comes as often as the service gives it, and counts once towards `maximum`. What
    lies beyond `maximum` are the newest articles.

    Args:
        source: names the domains.
        domains: of the task; keywords and query of a domain decide what is asked.
        pages: where `<fingerprint of the query>/page-00001.json` and so on are kept.

    Raises:
        InputError: if a domain is missing or has no query; the key is missing, refused or used
            up; the service does not answer, finds nothing or is not understood; or a stored page
            is damaged.
    """
    questions = [_question(source, name, domains) for name in source.domains]
    service = Service()
    for question in questions:
        folder = pages / question.fingerprint(service.host)
        yield from _rows(source.name, question, folder, service)


def _question(source: EventRegistrySource, name: str, domains: Mapping[str, Domain]) -> _Question:
    if name not in domains:
        raise InputError(
            f"source {source.name!r} names the domain {name!r}, but domains.yaml has only "
            f"{', '.join(domains)}: correct `domains` of the source"
        )
    domain = domains[name]
    if domain.query is None:
        raise InputError(
            f"domain {name!r} of source {source.name!r} has no `query`: give it one in "
            "domains.yaml (start, end, languages, maximum)"
        )
    # In one order and without copies: to sort a list in a file is no reason to pay again.
    keywords, languages = sorted(set(domain.keywords)), sorted(set(domain.query.languages))
    return _Question(name, keywords, languages, domain.query)


def _rows(source: str, question: _Question, folder: Path, service: Service) -> Iterator[Row]:
    seen: set[str] = set()
    maximum = question.query.maximum
    with bar(description=f"ask {question.domain}", unit="article", total=maximum) as shown:
        for number, page in enumerate(_pages(question, folder, service), start=1):
            shown.total = min(maximum, page.total)
            for position, article in enumerate(page.results, start=1):
                where = f"article {position} of page {number} of domain {question.domain!r}"
                row = _row(source, question.domain, article, where)
                yield row
                if row["id"] and row["id"] not in seen:
                    seen.add(row["id"])
                    shown.update()
                if len(seen) == maximum:
                    return


def _pages(question: _Question, folder: Path, service: Service) -> Iterator[_Articles]:
    number, last = 1, 1
    while number <= last:
        path = folder / f"page-{number:05d}.json"
        page = _stored(path)
        if page is None or _may_have_grown(page, number, question.query):
            page = _fetched(question, number, path, service)
        yield page.articles
        number, last = number + 1, page.articles.pages


def _may_have_grown(page: _Page, number: int, query: Query) -> bool:
    return number >= page.articles.pages and page.asked <= query.end


def _stored(path: Path) -> _Page | None:
    if not path.is_file():
        return None
    try:
        return _Page.model_validate(json.loads(path.read_bytes()))
    except ValueError:  # not UTF-8, not JSON, or of another shape
        raise InputError(
            f"{path} is damaged: delete it, and the next run asks (and pays) for it again"
        ) from None


def _fetched(question: _Question, number: int, path: Path, service: Service) -> _Page:
    what = f"page {number} of domain {question.domain!r}"
    asked = datetime.now(UTC).date()  # before the answer, which lacks what midnight brings
    answer = service.ask(question.page(number), what)
    try:
        stored = {"asked": asked.isoformat(), "articles": answer["articles"]}
        page = _Page.model_validate(stored)
    except (TypeError, KeyError, ValueError):
        raise InputError(
            f"Event Registry, {what}: the answer holds no list of articles, run again later"
        ) from None
    if not page.articles.results and number <= max(page.articles.pages, 1):
        raise InputError(
            f"Event Registry, {what}: there are no articles, check the domain's keywords and query "
            "in domains.yaml and that the plan of your key covers these days"
        )
    # In ASCII, since a text may hold half a surrogate pair, which UTF-8 cannot.
    write_text(path, json.dumps(stored, indent=1) + "\n")
    return page


def _row(source: str, domain: str, article: Any, where: str) -> Row:
    found: Mapping[str, Any] = article if isinstance(article, dict) else {}
    row = {
        "id": _text(found, "uri"),
        "source": source,
        "domain": domain,
        "language_hint": _language(_text(found, "lang")),
        "title": _text(found, "title"),
        "text": _text(found, "body"),
        # `dateTimePub` is when the publisher says; the others are when the service found it.
        "published": _text(found, "dateTimePub", "dateTime", "date"),
    }
    missing = [name for name in ("uri", "body") if not _text(found, name)]
    if not missing:
        return row
    content = json.dumps(article, ensure_ascii=False)
    return unreadable(row, content, f"no_{missing[0]}", f"{where}: no {' and no '.join(missing)}")


def _text(article: Mapping[str, Any], *names: str) -> str:
    """Return the first of these fields that holds something; empty if none does."""
    texts = (str(article[name]).strip() for name in names if article.get(name) is not None)
    return next(filter(None, texts), "")


def _language(code: str) -> str:
    """Return ISO 639-1 for ISO 639-3 (which stays where there is no shorter code)."""
    if not langcodes.tag_is_valid(code):
        return ""
    return langcodes.Language.get(langcodes.standardize_tag(code, macro=True)).language or ""
