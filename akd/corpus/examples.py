"""Annotated examples and their texts: in the example itself, or in the clean articles."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from akd.corpus.cleaning import article_text
from akd.errors import InputError
from akd.io import read_table
from akd.records import CLEAN, REJECTED
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
    articles = read_table(clean / "articles", CLEAN)
    known = {row["id"]: row for row in articles.iter_rows(named=True)}
    missing = [e.id for e in examples if not e.text and e.id not in known]
    if missing:
        fate = read_table(clean / "rejected", REJECTED).filter(pl.col("id") == missing[0])
        why = f"rejected as {fate['reason'][0]}" if fate.height else "never fetched"
        raise InputError(
            f"{len(missing)} of {len(examples)} annotated ids have no article in {clean} (the "
            f"first, {missing[0]}, was {why}): correct the ids, or give such examples a text"
        )
    rows = []
    for example in examples:
        article = known.get(example.id, {"text": "", "domain": "", "language": ""})
        own = article_text(example.title, example.text, max_characters)
        text = own if example.text else article["text"]
        rows.append((example.id, example.label, text, *(article[name] for name in _META)))
    columns = ["id", "label", "text", *_META]
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def balanced(examples: Sequence[Example], size: int) -> list[Example]:
    """Return at most `size` examples, taking from each label in turn, in the order given."""
    rank: dict[str, int] = {}
    turns = []
    for position, example in enumerate(examples):
        rank[example.label] = rank.get(example.label, -1) + 1
        turns.append((rank[example.label], position))
    chosen = sorted(position for _, position in sorted(turns)[:size])
    return [examples[position] for position in chosen]
