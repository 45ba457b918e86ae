"""Files of a user, ids and samples."""

from pathlib import Path

import polars as pl
import pytest

from akd.corpus.fetch import article_id, fetch
from akd.errors import InputError
from akd.task import FilesSource


def _source(*paths: str, **columns: str) -> FilesSource:
    return FilesSource(
        kind="files",
        name="mine",
        paths=list(paths),
        columns=columns or {"text": "body"},
        domain="shop",
        language="en",
    )


def test_each_format_gives_the_same_articles(tmp_path: Path) -> None:
    frame = pl.DataFrame({"body": ["one", "two"], "nr": ["7", "8"]})
    frame.write_csv(tmp_path / "a.csv")
    frame.write_ndjson(tmp_path / "a.jsonl")
    frame.write_parquet(tmp_path / "a.parquet")
    tables = [
        fetch([_source(f"a.{kind}", text="body", id="nr")], tmp_path, 10)
        for kind in ("csv", "jsonl", "parquet")
    ]
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])
    assert tables[0]["id"].to_list() == ["7", "8"]
    assert tables[0]["domain"].to_list() == ["shop", "shop"]


def test_without_an_id_column_the_id_is_a_hash_of_the_content(tmp_path: Path) -> None:
    pl.DataFrame({"body": ["one", "two"]}).write_csv(tmp_path / "a.csv")
    ids = fetch([_source("*.csv")], tmp_path, 10)["id"].to_list()
    assert ids == [article_id("mine", "", "one"), article_id("mine", "", "two")]
    assert article_id("mine", "", "one") != article_id("other", "", "one")


def test_a_sample_does_not_depend_on_row_order(tmp_path: Path) -> None:
    frame = pl.DataFrame({"body": [f"text {number}" for number in range(50)]})
    frame.write_csv(tmp_path / "a.csv")
    frame.reverse().write_csv(tmp_path / "b.csv")
    samples = [fetch([_source(f"{name}.csv")], tmp_path, 10) for name in "ab"]
    assert samples[0].height == 10
    assert set(samples[0]["id"]) == set(samples[1]["id"])


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"", "a.csv cannot be read"),
        ("a.csv", b"body\n", "a.csv has no rows"),
        ("a.csv", b"headline,x\none,two\n", "has no column 'body' .it has headline, x"),
        ("a.jsonl", b"{broken", "a.jsonl cannot be read"),
        ("a.parquet", b"PAR1 cut", "a.parquet cannot be read"),
        ("a.txt", b"text", "cannot read '.txt'"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=told):
        fetch([_source("a.*")], tmp_path, 10)


def test_a_glob_without_a_file_says_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="matches no file"):
        fetch([_source("*.csv")], tmp_path, 10)
