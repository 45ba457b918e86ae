"""A corpus of any size with known duplicates, put together from the sentences of real news."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from akd.corpus.sources import wheel
from akd.records import ARTICLE
from akd.specs.sources import WheelSource
from akd.task import load_task

SENTENCES = 16  # about the length of a news article
REPEATED = 0.1  # share of the rows that repeat an earlier one
REPLACED = 0.02  # share of the words that a near duplicate has exchanged
ROWS_AT_ONCE = 50_000


def build(rows: int, out: Path, seed: int) -> None:
    """Write a table of `rows` articles; `source` holds the id of the article that a row repeats.

    Articles are drawn sentence by sentence from tens of thousands, so that two of them have next
    to nothing in common unless one repeats the other. Half of the repetitions are exact.
    """
    pools = list(_pools())
    draw = np.random.default_rng(seed)
    out.mkdir(parents=True)
    for number, start in enumerate(range(0, rows, ROWS_AT_ONCE)):
        size = min(ROWS_AT_ONCE, rows - start)
        originals = round(size * (1 - REPEATED))
        texts = [_article(pools, draw) for _ in range(originals)]
        ids = [f"{start + row:09d}" for row in range(size)]
        repeated = draw.choice(originals, size - originals, replace=False)
        copies = [texts[row] if row % 2 else _perturbed(texts[row], draw) for row in repeated]
        origins = [""] * originals + [ids[row] for row in repeated]
        blank = [""] * size
        frame = pl.DataFrame(
            {
                "id": ids, "source": origins, "domain": ["news"] * size, "language_hint": blank,
                "title": blank, "text": texts + copies, "published": blank,
            },
            schema=ARTICLE,
        )  # fmt: skip
        frame = frame.sample(fraction=1.0, shuffle=True, seed=seed)
        frame.write_parquet(out / f"part-{number:05d}.parquet")


def _pools() -> Iterator[list[str]]:
    """Yield the sentences of each language: English nine times, so that nine in ten are English."""
    sources = load_task(Path("data/tasks/crisis/task.yaml")).sources
    rows = [row for s in sources if isinstance(s, WheelSource) for row in wheel.read(s)]
    news = pl.DataFrame(rows)
    english = news.filter(pl.col("language_hint") == "en")["text"].str.split(". ").explode()
    chinese = news.filter(pl.col("language_hint") == "zh")["text"].str.split("。").explode()
    longer = [
        pool.filter(pool.str.len_chars() > 20).unique(maintain_order=True).to_list()
        for pool in (english, chinese)
    ]
    yield from [longer[0]] * 9
    yield longer[1]


def _article(pools: list[list[str]], draw: np.random.Generator) -> str:
    pool = pools[draw.integers(len(pools))]
    return ". ".join(pool[row] for row in draw.integers(len(pool), size=SENTENCES))


def _perturbed(text: str, draw: np.random.Generator) -> str:
    """Exchange some words; in a script without spaces, some characters."""
    parts = text.split(" ") if " " in text[:200] else list(text)
    for row in draw.integers(len(parts), size=max(1, round(REPLACED * len(parts)))):
        parts[row] = "另" if len(parts[row]) == 1 and parts[row] > "\u3000" else "another"
    return (" " if " " in text[:200] else "").join(parts)
