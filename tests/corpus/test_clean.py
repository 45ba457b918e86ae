"""Cleaning: texts, languages, duplicates, and not one row lost."""

import dataclasses
import random
import shutil
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akd.corpus.cleaning.clean import clean
from akd.corpus.cleaning.language import Backend, detector
from akd.corpus.cleaning.preparation import Preparation
from akd.corpus.cleaning.text import article_text, clean_text
from akd.corpus.duplicates import NearDuplicateIndex
from akd.corpus.signatures import rows_per_band, shingles, signatures
from akd.errors import InputError
from akd.io import read_table
from akd.records import ARTICLE, CLEAN, REJECTED
from tests.conftest import SENTENCES, article, articles

LONG = " ".join(SENTENCES)


PREPARATION = Preparation(
    min_characters=20,
    max_characters=2000,
    languages=("en",),
    backend="langdetect",
    language_characters=500,
    sure=0.8,
    permutations=128,
    shingle=3,
    seed=1,
)


def _clean(
    folder: Path, *tables: pl.DataFrame, workers: int = 1, **changes: object
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Clean tables, each a shard of the input; return what was kept and what was rejected."""
    raw, out = folder / "raw", folder / "clean"
    shutil.rmtree(raw, ignore_errors=True)
    raw.mkdir(parents=True)
    for number, table in enumerate(tables):
        table.write_parquet(raw / f"part-{number:05d}.parquet")
    preparation = dataclasses.replace(PREPARATION, **changes)  # type: ignore[arg-type]
    clean(raw, out, preparation, similarity=0.7, workers=workers)
    return read_table(out / "articles", CLEAN), read_table(out / "rejected", REJECTED)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>Fire &amp; rain</p>", "Fire & rain"),
        ("a\x00b\u200bc\ud800", "abc"),
        ("wait!!!!! what......", "wait! what."),
        (" two\n\tlines\u3000here ", "two lines here"),
        ("cafe\u0301", "café"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("a list<![ i ]> and more", "a list and more"),  # no declaration that a parser knows
        (f"one &#{'9' * 5000}; two", "one two"),
    ],
)
def test_clean_text(text: str, expected: str) -> None:
    assert clean_text(text) == expected


UGLY = st.text(
    alphabet=st.one_of(
        st.characters(),  # lone surrogates among them
        st.sampled_from(
            "<>&;#/=\"' \x00\t\n\u200b\u202e\u2066\u0301\u0338\ufeff\ud800\u1100\u1161!.👩\u200d"
        ),
    ),
    max_size=120,
)
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            "<p>",
            "</p>",
            "<a b",
            "<!--",
            "-->",
            "<![CDATA[",
            "<![",
            "]>",
            "&amp;",
            "&lt;",
            "amp;",
            "lt;b&gt;",
        ]
        + ["&#0;", "&#x26;", "<script>x</script>", "e", "\u0301", "\u200d", "...", "Fire ", "火灾"]
    ),
    max_size=30,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(st.one_of(UGLY, FRAGMENTS))
def test_cleaning_a_clean_text_changes_nothing(text: str) -> None:
    once = clean_text(text)
    assert clean_text(once) == once
    assert once == once.strip()
    once.encode("utf-8")


@settings(max_examples=200, deadline=None)
@given(st.one_of(UGLY, FRAGMENTS), st.one_of(UGLY, FRAGMENTS), st.integers(5, 40))
def test_an_article_that_is_cleaned_twice_stays_the_same(title: str, text: str, size: int) -> None:
    once = article_text(title, text, size)
    assert article_text(clean_text(title), once, size) == once


@pytest.mark.parametrize("unit", ["&amp;", "<b>x", "a\u0301\u0301", "x\x00", "火", "!?"])
def test_a_line_of_a_megabyte(unit: str) -> None:
    once = clean_text(unit * (1_000_000 // len(unit)))
    assert clean_text(once) == once


def test_a_text_is_cut_at_a_word() -> None:
    assert article_text("Title", "one two three", 14) == "Title. one two"
    assert article_text("", "洪水" * 20, 10) == "洪水" * 5
    assert article_text("Title", "", 100) == "Title"


@pytest.mark.parametrize("backend", ["langdetect", "cascade", "fasttext"])
def test_each_backend_finds_languages_and_unknown_stays_unknown(backend: Backend) -> None:
    chinese = "昨天晚上这个城市的很多居民因为大雨离开了自己的家，政府说他们会得到帮助。"
    texts = [LONG, chinese, "12345 6789", ""]
    detect = detector(backend, 500, 0.8)
    found = [detect(text) for text in texts]
    assert [language.code for language in found] == ["en", "zh", "und", "und"]
    assert found == [detect(text) for text in texts]
    assert all(0.0 <= language.score <= 1.0 for language in found)


def test_the_cascade_asks_langdetect_where_fasttext_is_not_sure() -> None:
    assert detector("cascade", 500, 0.5)(LONG).backend == "fasttext"
    assert detector("cascade", 500, 1.0)(LONG).backend == "langdetect"


def test_near_duplicates_are_found_in_scripts_without_spaces() -> None:
    text = "昨天夜间暴雨引发洪水，数百名居民被迫离开家园，救援人员连夜展开搜救工作。"
    index = NearDuplicateIndex(permutations=128, shingle=3, similarity=0.7, seed=1)
    index.add(text)
    assert index.find(text.replace("数百", "数千")) == 0
    assert index.find("今天的足球比赛吸引了很多观众，主队以三比一获胜，气氛非常热烈。") is None


def test_shingles_of_a_short_text() -> None:
    assert shingles("Fire now", 3) == ["fire now"]
    assert shingles("a b c d", 3) == ["a b c", "b c d"]


def test_signatures_estimate_the_jaccard_index() -> None:
    words = [f"w{number}" for number in range(400)]
    first, second = " ".join(words[:300]), " ".join(words[100:])
    sets = [set(shingles(text, 3)) for text in (first, second)]
    exact = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    one, two = signatures([first, second], 1024, 3, 1)
    assert abs((one == two).mean() - exact) < 3 / 1024**0.5


def test_bands_are_as_long_as_recall_allows() -> None:
    assert rows_per_band(128, 0.7) == 4
    assert rows_per_band(128, 0.5) == 2
    assert rows_per_band(128, 1.0) == 128


TABLE = articles(
    article("a", LONG),
    article("b", LONG),
    article("c", LONG.replace("town", "city")),
    article("d", "short"),
    article("e", "<p></p>"),
    article("f", "Die Feuerwehr löschte in der Nacht einen großen Brand am Hafen der Stadt."),
    article("g", SENTENCES[4]),
    article("g", SENTENCES[3]),
)


def test_each_rejected_row_has_its_reason_and_none_is_lost(tmp_path: Path) -> None:
    kept, rejected = _clean(tmp_path, TABLE)
    reasons = dict(rejected.select("id", "reason").rows())
    assert sorted(kept["id"]) == ["a", "g"]
    assert reasons == {
        "b": "exact_duplicate",
        "c": "near_duplicate",
        "d": "too_short",
        "e": "empty",
        "f": "language",
        "g": "conflicting_id",
    }
    assert kept.height + rejected.height == TABLE.height
    assert set(rejected.filter(pl.col("reason").str.contains("duplicate|conflict"))["detail"]) == {
        "a",
        "g",
    }


@pytest.mark.parametrize(
    ("rows", "told"),
    [([], "fetch kept no article"), ([article("a", "short")], r"no article \(1 too_short\)")],
)
def test_a_corpus_of_which_nothing_is_left_ends_with_its_reasons(
    tmp_path: Path, rows: list[dict[str, str]], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        _clean(tmp_path, articles(*rows))
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_neither_the_order_of_rows_nor_shards_nor_processes_matter(tmp_path: Path) -> None:
    rows = list(range(TABLE.height))
    random.Random(3).shuffle(rows)
    shuffled = TABLE[rows]
    whole = _clean(tmp_path, TABLE)
    shards = _clean(tmp_path, shuffled[5:], shuffled[:2], shuffled[2:5], workers=2)
    for first, second in zip(whole, shards, strict=True):
        assert first.sort("id", "text").equals(second.sort("id", "text"))


def test_of_one_article_in_two_domains_the_same_is_kept_whatever_came_first(tmp_path: Path) -> None:
    both = [article("a", SENTENCES[0], domain=domain) for domain in ("fire", "world")]
    first, second = (_clean(tmp_path / name, articles(*rows))[0]
                     for name, rows in (("one", both), ("two", both[::-1])))  # fmt: skip
    assert first.equals(second)


def test_a_clean_corpus_stays_as_it_is(tmp_path: Path) -> None:
    kept, _ = _clean(tmp_path, TABLE)
    again, rejected = _clean(tmp_path, kept.select(ARTICLE.names()))
    assert again.equals(kept)
    assert rejected.is_empty()


def test_no_language_named_means_all(tmp_path: Path) -> None:
    assert "f" in _clean(tmp_path, TABLE, languages=())[0]["id"]


def test_a_chain_of_near_duplicates_keeps_what_is_unlike_the_kept(tmp_path: Path) -> None:
    """B is like A, C like B but not like A: B goes, and nothing that is kept is like C."""
    words = [f"word{number}" for number in range(120)]
    texts = [" ".join(words[start : start + 100]) for start in (0, 12, 24)]
    table = articles(*(article(key, text) for key, text in zip("abc", texts, strict=True)))
    kept, rejected = _clean(tmp_path, table, languages=())
    assert (sorted(kept["id"]), rejected["id"].to_list()) == (["a", "c"], ["b"])
