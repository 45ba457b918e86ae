"""Fetch: ids, dates, rejected rows, samples, and shards that hold all of it."""

from pathlib import Path

import polars as pl
import pytest

from akd.corpus import fetch as fetching
from akd.corpus.admission import admit, article_id, iso_date
from akd.corpus.fetch import fetch
from akd.errors import InputError
from akd.io import read_table
from akd.records import ARTICLE, REJECTED
from akd.specs.sources import FilesSource

COLUMNS = {"text": "body"}


def _source(*paths: str, name: str = "mine", date_format: str = "", **columns: str) -> FilesSource:
    return FilesSource(
        kind="files",
        name=name,
        paths=list(paths),
        columns=columns or COLUMNS,
        domain="shop",
        language="en",
        date_format=date_format,
    )


def _fetch(
    folder: Path, *sources: FilesSource, limit: int = 1000
) -> tuple[pl.DataFrame, pl.DataFrame]:
    out = folder / "raw"
    fetch(
        sources,
        out,
        folder=folder,
        domains={},
        pages=folder / "pages",
        max_articles_per_source=limit,
    )
    return read_table(out / "articles", ARTICLE), read_table(out / "rejected", REJECTED)


def test_without_an_id_column_the_id_is_a_hash_of_the_content(tmp_path: Path) -> None:
    pl.DataFrame({"body": ["one", "two"]}).write_csv(tmp_path / "a.csv")
    kept, rejected = _fetch(tmp_path, _source("*.csv"))
    assert kept["id"].to_list() == [article_id("mine", "", "one"), article_id("mine", "", "two")]
    assert article_id("mine", "", "one") != article_id("other", "", "one")
    assert rejected.is_empty()


def test_what_is_no_article_is_kept_with_its_reason(tmp_path: Path) -> None:
    lines = ["nr,body,day", "1,good,2020-01-01", "2,,2020-01-01", "3,late,someday", "4,x,y,z"]
    (tmp_path / "a.csv").write_text("\n".join([*lines, "5,also good,"]))
    kept, rejected = _fetch(tmp_path, _source("a.csv", id="nr", text="body", published="day"))
    assert kept["id"].to_list() == ["1", "5"]
    reasons = rejected["reason"].to_list()
    assert sorted(reasons) == ["bad_date", "no_text", "shifted_columns"]
    bad = rejected.filter(pl.col("reason") == "bad_date")
    assert bad["detail"][0] == "'someday' is no date (ISO 8601 or RFC 2822)"
    assert kept.height + rejected.height == len(lines)


def test_a_sample_does_not_depend_on_row_order_and_loses_no_row(tmp_path: Path) -> None:
    frame = pl.DataFrame({"body": [f"text {number}" for number in range(50)]})
    frame.write_csv(tmp_path / "a.csv")
    frame.reverse().write_csv(tmp_path / "b.csv")
    samples = []
    for name in "ab":
        kept, rejected = _fetch(tmp_path, _source(f"{name}.csv"), limit=10)
        assert (kept.height, rejected.height) == (10, 40)
        assert set(rejected["reason"]) == {"over_budget"}
        samples.append(set(kept["id"]))
    assert samples[0] == samples[1]


def test_the_limit_is_for_each_source_and_parts_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        pl.DataFrame({"body": [f"{name} {n}" for n in range(9)]}).write_csv(
            tmp_path / f"{name}.csv"
        )
    sources = [_source("a.csv", name="a"), _source("b.csv", name="b")]
    whole, _ = _fetch(tmp_path, *sources, limit=5)
    monkeypatch.setattr(fetching, "ROWS_PER_PART", 2)
    pieces, rejected = _fetch(tmp_path, *sources, limit=5)
    assert dict(whole["source"].value_counts().iter_rows()) == {"a": 5, "b": 5}
    assert pieces.equals(whole)
    assert rejected.height == 8


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    pl.DataFrame({"body": ["one"]}).write_csv(tmp_path / "a.csv")
    with pytest.raises(InputError, match="matches no file"):
        _fetch(tmp_path, _source("a.csv"), _source("b.csv"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv"]


@pytest.mark.parametrize(
    ("text", "date_format", "found"),
    [
        ("2020-03-01", "", "2020-03-01"),
        ("2020-03-01T10:00:00+02:00", "", "2020-03-01T08:00:00Z"),
        ("2020-03-01 10:00", "", "2020-03-01T10:00:00Z"),
        ("Sun, 01 Mar 2020 10:00:00 GMT", "", "2020-03-01T10:00:00Z"),
        ("01.03.2020", "%d.%m.%Y", "2020-03-01"),
        ("2020-03-01", "%d.%m.%Y", "2020-03-01"),
        ("01.03.2020", "", None),
        ("0001-01-01T00:00:00+14:00", "", None),
        ("yesterday", "", None),
    ],
)
def test_dates(text: str, date_format: str, found: str | None) -> None:
    assert iso_date(text, date_format) == found


def test_a_lone_surrogate_becomes_a_question_mark() -> None:
    row = {"source": "s", "domain": "d", "language_hint": "", "title": "", "published": ""}
    assert admit({**row, "text": "a\ud800b"}, "")["text"] == "a?b"
