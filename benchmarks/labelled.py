"""Labelled articles for figures of the teacher: of the tasks, and of data sets from elsewhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from akd.corpus.examples import balanced, with_texts
from akd.io import read_table
from akd.prompts.demonstrations import Shot
from akd.records import CLEAN, FILTERED
from akd.task import Example, Task, load_held_out, load_task
from benchmarks.elsewhere import LABELS, labelled_rows, text_of

DATA = Path("data")
SHOT_POOL = 100  # annotated articles from which draws of the shots are taken
Ints = NDArray[np.int_]


@dataclass(frozen=True)
class Labelled:
    """Annotated articles of one data set, split once.

    Attributes:
        task: whose labels and prompt seeds are used.
        pool: what shots are drawn from, English where the teacher reads English.
        gold: texts that nothing but accuracy sees.
        labels: the index of the label of each gold text.
        unlabelled: texts for the search and for calibration.
    """

    task: Task
    pool: Sequence[Shot]
    gold: Sequence[str]
    labels: Ints
    unlabelled: Sequence[str]

    def draw(self, number: int, size: int) -> list[Shot]:
        """Return one draw of the shots, balanced over labels."""
        order = np.random.default_rng(number).permutation(len(self.pool))
        examples = [Example(id=str(n), label=str(self.pool[n].label)) for n in order]
        return [self.pool[int(example.id)] for example in balanced(examples, size)]


def data_sets(
    others: Path | None, *, gold: int, unlabelled: int, max_characters: int
) -> Iterator[tuple[str, Labelled]]:
    """Yield each data set under its name.

    Args:
        others: a folder with the files of `benchmarks.elsewhere`; None for the tasks alone.
        gold: of each data set at most.
        unlabelled: how many texts calibrate.
        max_characters: of a text.
    """
    for name in ("bbc-topics", "crisis"):
        task = load_task(DATA / "tasks" / name / "task.yaml")
        rows = with_texts(
            load_held_out(DATA / "tasks" / name, task.label_names), DATA / "clean", max_characters
        )
        yield name, _split(task, rows, _articles(name, rows), gold, unlabelled)
    if others is not None:
        crisis = load_task(DATA / "tasks" / "crisis" / "task.yaml")
        rows = _english(others, "crisislex_2012", max_characters)
        yield "crisislex_2012", _split(crisis, rows, [], gold, unlabelled)
        rows = _english(others, "masakhanews", max_characters)
        task = topics_of(sorted(rows["label"].unique()))
        yield "masakhanews", _split(task, rows, [], gold, unlabelled)


def _articles(task: str, annotated: pl.DataFrame) -> list[str]:
    """Return articles of the last `dvc repro` of the task crisis that nobody has annotated."""
    if task == "crisis":
        return read_table(DATA / "filtered" / "articles", FILTERED)["text"].to_list()
    clean = read_table(DATA / "clean" / "articles", CLEAN)
    free = (pl.col("source") == "bbc") & ~pl.col("id").is_in(annotated["id"].to_list())
    return clean.filter(free).sort("id")["text"].to_list()


def _english(folder: Path, name: str, max_characters: int) -> pl.DataFrame:
    """Return text, label and language of the English rows of a file."""
    rows = [row for row in labelled_rows(folder, name) if row["lang"] == "en"]
    texts = [text_of(row)[:max_characters] for row in rows]
    labels = [row[LABELS[name]] for row in rows]
    return pl.DataFrame({"text": texts, "label": labels, "language": "en"})


def topics_of(labels: Sequence[str]) -> Task:
    """Return the task of BBC topics with other labels, whose names are the label words."""
    topics = load_task(DATA / "tasks" / "bbc-topics" / "task.yaml")
    first = topics.labels[0]
    kinds = [
        first.model_copy(update={"name": name, "coarse": str(number % 2)})
        for number, name in enumerate(labels)
    ]
    words = [[name.capitalize() for name in labels], list(labels)]
    seeds = topics.prompt.model_copy(update={"verbalizers": words})
    return topics.model_copy(update={"name": "masakhanews", "labels": kinds, "prompt": seeds})


def _split(
    task: Task, rows: pl.DataFrame, articles: Sequence[str], gold: int, unlabelled: int
) -> Labelled:
    """Split the rows by chance into shots, gold and, where no articles are given, unlabelled."""
    names = task.label_names
    order = np.random.default_rng(0).permutation(rows.height).tolist()
    texts, labels = rows["text"], rows["label"]
    taken = 0 if articles else unlabelled
    free = [texts[row] for row in order[:taken]]
    pool = [row for row in order[taken : taken + SHOT_POOL] if rows["language"][row] == "en"]
    kept = order[taken + SHOT_POOL :][:gold]
    chosen = np.random.default_rng(0).permutation(len(articles))[:unlabelled]
    return Labelled(
        task=task,
        pool=[Shot(str(row), texts[row], names.index(labels[row])) for row in pool],
        gold=[texts[row] for row in kept],
        labels=np.array([names.index(labels[row]) for row in kept]),
        unlabelled=free or [articles[row] for row in chosen],
    )
