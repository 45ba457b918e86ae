"""Clean: one pass over the articles that keeps each or rejects it with a reason."""

from collections.abc import Callable, Sequence

import polars as pl

from akd.console import progress
from akd.corpus.cleaning import clean_text, lead
from akd.corpus.duplicates import NearDuplicateIndex
from akd.corpus.language import detect
from akd.records import CLEAN, REJECTED

Verdict = tuple[str, str]
"""Reason and detail; an empty reason keeps the article."""


def clean(
    articles: pl.DataFrame,
    *,
    min_characters: int,
    max_characters: int,
    languages: Sequence[str],
    language_characters: int,
    duplicates: NearDuplicateIndex,
    workers: int,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Clean the texts, detect languages, drop what is too short, foreign or there twice.

    Of several articles with one id or text the one with the smallest id is kept, so that the
    result does not depend on the order of the rows. No `languages` means all of them.

    Returns:
        The kept articles (`records.CLEAN`, by id) and the rejected ones (`records.REJECTED`).
    """
    raw = articles.sort("id", "source", "title", "text")
    rows = progress(
        raw.select("title", "text").iter_rows(),
        description="clean",
        unit="article",
        total=raw.height,
    )
    parts = [(clean_text(title), clean_text(text)) for title, text in rows]
    texts = [lead(title, text, max_characters) for title, text in parts]
    found = detect(texts, language_characters, workers)
    cleaned = raw.with_columns(
        pl.Series("title", [title for title, _ in parts], pl.String),
        pl.Series("text", texts, pl.String),
        pl.Series("language", [language for language, _ in found], pl.String),
        pl.Series("language_probability", [p for _, p in found], pl.Float64),
    )

    def unfit(text: str, language: str) -> Verdict:
        if not text:
            return "empty", "no text is left after cleaning"
        if len(text) < min_characters:
            return "too_short", f"{len(text)} of at least {min_characters} characters"
        if languages and language not in languages:
            return "language", language
        return "", ""

    verdicts = _verdicts(cleaned, unfit, duplicates)
    judged = cleaned.with_columns(
        pl.Series("reason", [reason for reason, _ in verdicts], pl.String),
        pl.Series("detail", [detail for _, detail in verdicts], pl.String),
    )
    kept = judged.filter(pl.col("reason") == "").select(CLEAN.names())
    return kept, judged.filter(pl.col("reason") != "").select(REJECTED.names())


def _verdicts(
    cleaned: pl.DataFrame,
    unfit: Callable[[str, str], Verdict],
    duplicates: NearDuplicateIndex,
) -> list[Verdict]:
    """Judge the rows in order; a row is a duplicate only of one that was kept before it."""
    verdicts: list[Verdict] = []
    ids: set[str] = set()
    by_text: dict[str, str] = {}
    by_number: list[str] = []
    for key, text, language in cleaned.select("id", "text", "language").iter_rows():
        verdict = unfit(text, language)
        if not verdict[0]:
            if key in ids:
                verdict = "duplicate_id", key
            elif text in by_text:
                verdict = "exact_duplicate", by_text[text]
            elif (number := duplicates.find_or_add(text)) is not None:
                verdict = "near_duplicate", by_number[number]
            else:
                ids.add(key)
                by_text[text] = key
                by_number.append(key)
        verdicts.append(verdict)
    return verdicts
