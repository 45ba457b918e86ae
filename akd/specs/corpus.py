"""How articles are fetched, cleaned and filtered (`fetch`, `clean`, `filter` of params.yaml)."""

from typing import Literal

from akd.specs.base import Frozen, Positive, Probability, Share


class FetchParams(Frozen):
    """How much to fetch."""

    max_articles_per_source: Positive


class DuplicateParams(Frozen):
    """When two texts are near duplicates: estimated Jaccard index of their shingles."""

    permutations: Positive
    shingle: Positive
    similarity: Share


class LanguageParams(Frozen):
    """Who detects the language, on how many characters, and when the cascade trusts fastText."""

    backend: Literal["langdetect", "cascade", "fasttext"]
    characters: Positive
    sure: Probability


class CleanParams(Frozen):
    """What an article must be to be kept."""

    min_characters: Positive
    max_characters: Positive
    languages: list[str]
    language: LanguageParams
    duplicates: DuplicateParams
