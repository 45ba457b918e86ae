"""Event Registry: what is asked for, what is paid for once, and the rows that come of it."""

import json
import os
import subprocess
import sys
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from akd.corpus.sources import event_registry
from akd.errors import InputError
from akd.specs.sources import Domain
from tests.conftest import ROOT
from tests.corpus.event_registry_server import (
    KEY,
    SOURCE,
    FakeEventRegistry,
    Fault,
    flood_domains,
    made_up,
    refusal_of,
    rows_of,
)

READ = """
import json, pathlib, sys
from akd.corpus.sources import event_registry
from akd.specs.sources import Domain, EventRegistrySource
source, domain = map(json.loads, sys.argv[1:3])
domains = {"floods": Domain.model_validate(domain)}
list(event_registry.read(EventRegistrySource(**source), domains, pathlib.Path(sys.argv[3])))
"""


def test_an_article_becomes_a_row(server: FakeEventRegistry, pages: Path) -> None:
    assert rows_of(pages)[1] == {
        "id": "6000000002",
        "source": "er",
        "domain": "floods",
        "language_hint": "en",
        "title": "Title 2",
        "text": "A flood, report 2.",
        "published": "2020-01-02T09:12:00Z",
    }


def test_the_request_is_what_the_domain_says(server: FakeEventRegistry, pages: Path) -> None:
    rows_of(pages, keywords=["sturm", "flood"], languages=["eng", "deu"])
    assert server.asked[0] == {
        "action": "getArticles",
        "keyword": ["flood", "sturm"],
        "keywordOper": "or",
        "lang": ["deu", "eng"],
        "dateStart": "2020-01-01",
        "dateEnd": "2021-12-31",
        "resultType": ["articles"],
        "articlesPage": 1,
        "articlesCount": 100,
        "articlesSortBy": "date",
        "articlesSortByAsc": True,
        "includeArticleEventUri": False,
        "includeArticleAuthors": False,
        "includeArticleImage": False,
        "includeArticleSentiment": False,
        "includeSourceTitle": False,
        "apiKey": KEY,
    }
    assert server.pages_asked() == [1, 2, 3, 4, 5]


def test_a_domain_narrows_by_keyword_day_and_language(
    server: FakeEventRegistry, pages: Path
) -> None:
    any_word = ["flood", "sturm"]
    days = rows_of(pages, keywords=any_word, start="2020-01-02", end="2020-01-03")
    assert [row["id"][-1] for row in days] == ["2", "3", "4", "5"]
    german = rows_of(pages, keywords=any_word, languages=["deu"], maximum=5)
    assert [row["language_hint"] for row in german] == ["de"] * 5


def test_the_maximum_is_exact_and_a_larger_one_pays_for_the_rest_only(
    server: FakeEventRegistry, pages: Path
) -> None:
    assert len(rows_of(pages, maximum=150)) == 150
    assert server.pages_asked() == [1, 2]
    assert len(rows_of(pages, maximum=1_000)) == 250
    assert server.pages_asked() == [1, 2, 3]


def test_stored_pages_need_neither_the_service_nor_a_key(
    server: FakeEventRegistry, pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(pages)
    monkeypatch.delenv("EVENTREGISTRY_API_KEY")
    assert rows_of(pages, keywords=["earthquake", "flood", "flood"]) == rows
    assert server.pages_asked() == [1, 2, 3]
    assert "EVENTREGISTRY_API_KEY is not set" in refusal_of(pages, end="2020-12-31")


def test_a_killed_run_goes_on_without_paying_twice(server: FakeEventRegistry, pages: Path) -> None:
    server.hanging_page = 3
    domain = flood_domains()["floods"].model_dump_json()
    command = [sys.executable, "-c", READ, SOURCE.model_dump_json(), domain, str(pages)]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ.copy())
    assert server.reached.wait(60)
    process.kill()
    assert process.wait() == -9
    server.hanging_page = None
    server.released.set()
    assert sorted(path.name for path in pages.rglob("*.json")) == [
        "page-00001.json",
        "page-00002.json",
    ]
    rows = rows_of(pages)
    assert [row["id"] for row in rows] == [made_up(n)["uri"] for n in range(0, 500, 2)]
    assert server.pages_asked() == [1, 2, 3, 3]
    assert server.served == [1, 2, 3]


def test_a_domain_that_cannot_be_asked_for_is_refused_before_anything_is_paid(
    server: FakeEventRegistry, pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = {"fires": Domain(keywords=["fire"]), **flood_domains()}
    both = SOURCE.model_copy(update={"domains": ["floods", "fires"]})
    for domains, told in (
        (flood_domains(), "has only floods"),
        (without, "'fires' .* has no `query`"),
    ):
        with pytest.raises(InputError, match=told):
            next(event_registry.read(both, domains, pages))
    for key in ("", "  "):
        monkeypatch.setenv("EVENTREGISTRY_API_KEY", key)
        assert "EVENTREGISTRY_API_KEY is not set" in refusal_of(pages)
    assert server.asked == []


def test_nothing_found_is_said_and_not_stored(server: FakeEventRegistry, pages: Path) -> None:
    assert "page 1 of domain 'floods': there are no articles" in refusal_of(
        pages, keywords=["volcano"]
    )
    assert list(pages.rglob("*.json")) == []


def test_a_page_given_twice_counts_once(server: FakeEventRegistry, pages: Path) -> None:
    server.faults = deque([None, Fault(page=1)])
    rows = rows_of(pages, maximum=120)
    assert [row["id"] for row in rows[:100]] == [row["id"] for row in rows[100:200]]
    assert len(rows) == 220
    assert len({row["id"] for row in rows}) == 120


def test_what_is_no_article_is_kept_with_its_reason(server: FakeEventRegistry, pages: Path) -> None:
    whole = made_up(0, body="half \ud83d", lang="???", dateTimePub=None, title=None)
    results = [made_up(0, uri=None), made_up(2, body=" "), "text", whole]
    listed = {"results": results, "totalResults": 4, "page": 1, "count": 100, "pages": 1}
    server.always = Fault(text=json.dumps({"articles": listed}))
    rows = rows_of(pages, maximum=2)
    assert [row.get("reason", "") for row in rows] == ["no_uri", "no_body", "no_uri", ""]
    assert [row["id"] for row in rows] == ["", "6000000002", "", "6000000000"]
    assert rows[0]["detail"] == "article 1 of page 1 of domain 'floods': no uri"
    assert "A flood, report 0." in rows[0]["text"]
    assert rows[2]["text"] == '"text"'
    assert rows[3]["text"] == "half \ud83d"
    assert rows[3]["language_hint"] == rows[3]["title"] == ""
    assert rows[3]["published"] == "2020-01-01T09:30:00Z"
    assert rows_of(pages, maximum=2) == rows
    assert len(server.asked) == 1


@pytest.mark.parametrize("content", [b"", b'{"asked": "2020-', b"\xff\xfe", b"[]", b'{"asked": 1}'])
def test_a_damaged_page_is_named(server: FakeEventRegistry, pages: Path, content: bytes) -> None:
    rows_of(pages)
    (path,) = pages.rglob("page-00002.json")
    path.write_bytes(content)
    assert f"{path} is damaged: delete it" in refusal_of(pages)
    path.unlink()
    assert len(rows_of(pages)) == 250
    assert server.pages_asked() == [1, 2, 3, 2]


def test_the_last_page_of_days_to_come_is_asked_for_again(
    server: FakeEventRegistry, pages: Path
) -> None:
    end = datetime.now(UTC).date() + timedelta(days=1)
    assert len(rows_of(pages, end=end)) == 250
    server.articles += [made_up(number, date="2021-01-01") for number in range(500, 700, 2)]
    assert len(rows_of(pages, end=end)) == 350
    assert server.pages_asked() == [1, 2, 3, 3, 4]


@pytest.mark.parametrize(("asked", "again"), [("2021-12-31", [3]), ("2022-01-01", [])])
def test_a_last_page_from_before_the_end_is_asked_for_once_more(
    server: FakeEventRegistry, pages: Path, asked: str, again: list[int]
) -> None:
    rows_of(pages)
    (last,) = pages.rglob("page-00003.json")
    last.write_text(json.dumps({**json.loads(last.read_text()), "asked": asked}))
    for _ in range(2):
        assert len(rows_of(pages)) == 250
    assert server.pages_asked() == [1, 2, 3, *again]


@pytest.mark.parametrize(
    ("code", "short"),
    [("eng", "en"), ("zho", "zh"), ("hrv", "hr"), ("zsm", "ms"), ("ceb", "ceb"), ("", "")],
)
def test_languages_have_their_short_codes(code: str, short: str) -> None:
    assert event_registry._language(code) == short
