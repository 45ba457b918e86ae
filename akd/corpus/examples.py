"""Annotated examples and their texts: in the example itself, or in the clean articles."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from akd.corpus.cleaning.text import article_text, clean_text
from akd.errors import InputError
from akd.io import table_shards
from akd.task import Example

_META = ("domain", "language")


def with_texts(examples: Sequence[Example], clean: Path, max_characters: int) -> pl.DataFrame:
    """Return id, label, text, domain and language of each example, in their order.

    Args:
        examples: shots or gold of a task.
        clean: what the clean stage wrote.
        max_characters: to which an example's own text is cut, like an article.

    Raises:
        InputError: if an id names no clean article (it says what became of the first such one).
    """
    known = {row["id"]: row for row in annotated_articles(examples, clean).iter_rows(named=True)}
    rows = []
    for example in examples:
        article = known.get(example.id, {"text": "", "domain": "", "language": ""})
        text = own_text(example, max_characters) or article["text"]
        rows.append((example.id, example.label, text, *(article[name] for name in _META)))
    columns = ["id", "label", "text", *_META]
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def own_text(example: Example, max_characters: int) -> str:
    """Return what an example brings itself, as an article's text is cleaned; empty if nothing."""
    if not clean_text(example.text):
        return ""
    return article_text(example.title, example.text, max_characters)


def annotated_articles(examples: Sequence[Example], clean: Path) -> pl.DataFrame:
    """Return the clean articles that examples name (`records.CLEAN`), in the order of their shards.

    Raises:
        InputError: if no text of an example is left after cleaning, and its id names no clean
            article (it says what became of the first such one).
    """
    found = _named(clean / "articles", [example.id for example in examples])
    known = set(found["id"])
    missing = [e.id for e in examples if e.id not in known and not clean_text(e.text)]
    if missing:
        fate = _named(clean / "rejected", missing[:1])
        unknown = "never fetched, or one too many for fetch.max_articles_per_source"
        why = f"rejected as {fate['reason'][0]}" if fate.height else unknown
        raise InputError(
            f"{len(missing)} of {len(examples)} annotated ids have no article in {clean} (the "
            f"first, {missing[0]}, was {why}): correct the ids, or give such examples a text"
        )
    return found


def _named(folder: Path, ids: Sequence[str]) -> pl.DataFrame:
    """Return the rows with these ids, without reading the others into memory."""
    rows = pl.scan_parquet(table_shards(folder))
    return rows.filter(pl.col("id").is_in(ids)).collect(engine="streaming")


def balanced(examples: Sequence[Example], size: int) -> list[Example]:
    """Return at most `size` examples, taking from each label in turn, in the order given."""
    rank: dict[str, int] = {}
    turns = []
    for position, example in enumerate(examples):
        rank[example.label] = rank.get(example.label, -1) + 1
        turns.append((rank[example.label], position))
    chosen = sorted(position for _, position in sorted(turns)[:size])
    return [examples[position] for position in chosen]
