"""The keywords of each domain with their origins: the task's own, mined ones, the teacher's."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import yaml

from akd.io import read_json_lines, replacing, write_json_lines, write_text
from akd.records import KEYWORD
from akd.specs.sources import Domain

FILE = "keywords.jsonl"


Found = Mapping[str, Sequence[tuple[str, float]]]
"""Phrases with their scores, the best first, of each domain."""


def expanded(domains: Mapping[str, Domain], mined: Found, taught: Found) -> pl.DataFrame:
    """Return `records.KEYWORD`: the task's own keywords first, then what was mined, then taught.

    A phrase stands once in a domain, under its first origin.
    """
    rows: list[tuple[str, str, str, float]] = []
    for name, domain in domains.items():
        own = [(keyword, 1.0) for keyword in domain.keywords]
        seen: set[str] = set()
        for origin, phrases in (
            ("task", own),
            ("mined", mined.get(name, ())),
            ("teacher", taught.get(name, ())),
        ):
            for phrase, score in phrases:
                if phrase.casefold() not in seen:
                    seen.add(phrase.casefold())
                    rows.append((name, phrase, origin, round(score, 6)))
    return pl.DataFrame(rows, schema=KEYWORD, orient="row")


def write_keywords(table: pl.DataFrame, folder: Path) -> None:
    """Write keywords.jsonl, one keyword a line, for people to read and programs too."""
    with replacing(folder) as aside:
        write_json_lines(aside / FILE, table.to_dicts())


def read_keywords(folder: Path) -> dict[str, list[str]]:
    """Return the keywords of each domain, in the order of the file.

    Raises:
        InputError: if the file is missing or broken.
    """
    domains: dict[str, list[str]] = {}
    for (domain, _), keywords in by_origin(folder).items():
        domains.setdefault(domain, []).extend(keywords)
    return domains


def by_origin(folder: Path) -> dict[tuple[str, str], list[str]]:
    """Return the keywords of each pair of domain and origin, in the order of the file.

    Raises:
        InputError: if the file is missing or broken.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for row in read_json_lines(folder / FILE):
        found.setdefault((row["domain"], row["origin"]), []).append(row["keyword"])
    return found


def freeze(
    path: Path, domains: Mapping[str, Domain], keywords: Mapping[str, Sequence[str]]
) -> None:
    """Write domains.yaml with the keywords found for each domain, which no run expands again.

    Args:
        path: of domains.yaml, which is replaced; its comments are lost.
        domains: what it holds now.
        keywords: of `read_keywords`; a domain without any there stays as it is.
    """
    frozen = {
        name: domain.model_copy(update={"keywords": keywords[name], "frozen": True})
        if name in keywords
        else domain
        for name, domain in domains.items()
    }
    plain = {
        name: domain.model_dump(mode="json", exclude_defaults=True)
        for name, domain in frozen.items()
    }
    write_text(path, yaml.safe_dump(plain, allow_unicode=True, sort_keys=False, width=120))


def open_domains(domains: Mapping[str, Domain]) -> dict[str, Sequence[str]]:
    """Return the seeds of the domains whose list is not frozen."""
    return {name: domain.keywords for name, domain in domains.items() if not domain.frozen}
