"""Preparation: a part of a shard becomes clean texts with language, verdict and signature."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from akd.corpus.cleaning.language import Backend, Detect, Language, detector
from akd.corpus.cleaning.text import article_text, clean_text
from akd.corpus.signatures import signatures
from akd.records import CLEAN


@dataclass(frozen=True)
class Part:
    """Some rows of a shard, and the number of the files that they are prepared into."""

    shard: Path
    start: int
    rows: int
    number: int


@dataclass(frozen=True)
class Preparation:
    """What decides how a text is prepared; see `CleanParams`. No `languages` means all."""

    min_characters: int
    max_characters: int
    languages: tuple[str, ...]
    backend: Backend
    language_characters: int
    sure: float
    permutations: int
    shingle: int
    seed: int


def prepare(part: Part, scratch: Path, settings: Preparation) -> int:
    """Prepare a part into two files of `scratch`; a pure function of the part and the settings.

    `<number>.parquet` holds all its rows, with `reason` and `detail` where a row is unfit, and the
    hash of the text; `<number>.npy` the signatures of the fit ones, transposed: one row of the
    array (permutations, fit) is one column of the signatures.

    Returns:
        The number of rows.
    """
    raw = pl.scan_parquet(part.shard).slice(part.start, part.rows).collect()
    raw = raw.sort("id", "source", "title", "text")
    detect = _detector(settings.backend, settings.language_characters, settings.sure)
    titles = [clean_text(title) for title in raw["title"]]
    texts = [
        article_text(title, text, settings.max_characters)
        for title, text in raw.select("title", "text").iter_rows()
    ]
    languages = [detect(text) for text in texts]
    verdicts = [_verdict(*pair, settings) for pair in zip(texts, languages, strict=True)]
    prepared = raw.with_columns(
        pl.Series("title", titles, pl.String),
        pl.Series("text", texts, pl.String),
        pl.Series("language", [found.code for found in languages], pl.String),
        pl.Series("language_probability", [found.score for found in languages], pl.Float64),
        pl.Series("language_backend", [found.backend for found in languages], pl.String),
        pl.Series("reason", [reason for reason, _ in verdicts], pl.String),
        pl.Series("detail", [detail for _, detail in verdicts], pl.String),
    ).select(*CLEAN.names(), "reason", "detail", pl.col("text").hash().alias("text_hash"))
    fit = prepared.filter(pl.col("reason") == "")["text"].to_list()
    found = signatures(fit, settings.permutations, settings.shingle, settings.seed)
    np.save(scratch / f"{part.number:06d}.npy", np.ascontiguousarray(found.T))
    prepared.write_parquet(scratch / f"{part.number:06d}.parquet")
    return prepared.height


@lru_cache(maxsize=1)
def _detector(backend: Backend, characters: int, sure: float) -> Detect:
    """Build the detector once in a process: it loads its profiles."""
    return detector(backend, characters, sure)


def _verdict(text: str, language: Language, settings: Preparation) -> tuple[str, str]:
    """Return reason and detail of an unfit text; both are empty for a fit one."""
    if not text:
        return "empty", "no text is left after cleaning"
    if len(text) < settings.min_characters:
        return "too_short", f"{len(text)} of at least {settings.min_characters} characters"
    if settings.languages and language.code not in settings.languages:
        return "language", language.code
    return "", ""
