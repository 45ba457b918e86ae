"""The schema of every table that one stage hands to the next."""

import polars as pl

ARTICLE = pl.Schema(
    {
        "id": pl.String,  # the user's own, or a hash of source, title and text as fetched
        "source": pl.String,
        "domain": pl.String,
        "language_hint": pl.String,  # what the source says; empty where it says nothing
        "title": pl.String,
        "text": pl.String,
        "published": pl.String,  # ISO 8601; empty where the source does not know
    }
)
"""One article as fetched. Missing text is the empty string, never null."""

CLEAN = pl.Schema({**ARTICLE, "language": pl.String, "language_probability": pl.Float64})
"""One article after cleaning: `text` is title and lead, `language` is ISO 639-1 or `und`."""

REJECTED = pl.Schema({**ARTICLE, "reason": pl.String, "detail": pl.String})
"""One article that a stage dropped, as that stage met it, and why."""

FILTERED = pl.Schema({**CLEAN, "domain_score": pl.Float64, "signal_score": pl.Float64})
"""One relevant article: P(its domain's keywords | text), P(present or future | text)."""
