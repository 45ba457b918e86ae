"""Cleaning: texts, languages, duplicates, and not one row lost."""

import random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from akd.corpus.clean import clean
from akd.corpus.cleaning import clean_text, lead
from akd.corpus.duplicates import NearDuplicateIndex, shingles
from akd.corpus.language import detect
from tests.conftest import SENTENCES, article, articles

LONG = " ".join(SENTENCES)


def _index(similarity: float = 0.7) -> NearDuplicateIndex:
    return NearDuplicateIndex(permutations=128, shingle=3, similarity=similarity, seed=1)


def _clean(table: pl.DataFrame, **changes: object) -> tuple[pl.DataFrame, pl.DataFrame]:
    settings: dict[str, object] = {
        "min_characters": 20,
        "max_characters": 2000,
        "languages": ["en"],
        "language_characters": 500,
        "duplicates": _index(),
        "workers": 1,
    }
    return clean(table, **{**settings, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>Fire &amp; rain</p>", "Fire & rain"),
        ("a\x00b\u200bc\ud800", "abc"),
        ("wait!!!!! what......", "wait! what."),
        (" two\n\tlines\u3000here ", "two lines here"),
        ("cafe\u0301", "café"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
    ],
)
def test_clean_text(text: str, expected: str) -> None:
    assert clean_text(text) == expected


@given(st.text(alphabet=st.characters(exclude_characters="<&"), max_size=200))
def test_clean_text_is_idempotent_on_text_without_markup(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)


def test_lead_cuts_at_a_word() -> None:
    assert lead("Title", "one two three", 14) == "Title. one two"
    assert lead("", "洪水" * 20, 10) == "洪水" * 5
    assert lead("Title", "", 100) == "Title"


def test_language_is_seeded_and_unknown_stays_unknown() -> None:
    chinese = "昨天晚上这个城市的很多居民因为大雨离开了自己的家，政府说他们会得到帮助。"
    texts = [LONG, chinese, "12345 6789"]
    found = detect(texts, 500, workers=1)
    assert [language for language, _ in found] == ["en", "zh", "und"]
    assert found == detect(texts, 500, workers=2)


def test_near_duplicates_are_found_in_scripts_without_spaces() -> None:
    text = "昨天夜间暴雨引发洪水，数百名居民被迫离开家园，救援人员连夜展开搜救工作。"
    index = _index()
    assert index.find_or_add(text) is None
    assert index.find_or_add(text.replace("数百", "数千")) == 0
    assert (
        index.find_or_add("今天的足球比赛吸引了很多观众，主队以三比一获胜，气氛非常热烈。") is None
    )


def test_shingles_of_a_short_text() -> None:
    assert shingles("Fire now", 3) == ["fire now"]
    assert shingles("a b c d", 3) == ["a b c", "b c d"]


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


def test_each_rejected_row_has_its_reason_and_none_is_lost() -> None:
    kept, rejected = _clean(TABLE)
    reasons = dict(rejected.select("id", "reason").rows())
    assert kept["id"].to_list() == ["a", "g"]
    assert reasons == {
        "b": "exact_duplicate",
        "c": "near_duplicate",
        "d": "too_short",
        "e": "empty",
        "f": "language",
        "g": "duplicate_id",
    }
    assert kept.height + rejected.height == TABLE.height
    assert set(rejected.filter(pl.col("reason").str.contains("duplicate"))["detail"]) == {"a", "g"}


def test_the_result_does_not_depend_on_row_order() -> None:
    rows = list(range(TABLE.height))
    random.Random(3).shuffle(rows)
    for first, second in zip(_clean(TABLE), _clean(TABLE[rows]), strict=True):
        assert first.sort("id", "text").equals(second.sort("id", "text"))


def test_no_language_named_means_all() -> None:
    assert "f" in _clean(TABLE, languages=[])[0]["id"]
