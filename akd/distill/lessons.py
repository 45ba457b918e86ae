"""What a phase is taught: texts joined with the stored signals that its losses ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl
import torch

from akd.errors import InputError
from akd.io import read_table
from akd.records import FILTERED, SIGNAL
from akd.specs.distillation import Phase
from akd.teacher.folder import read_hidden, read_manifest, read_mean_states, read_rationales


class TeacherBlocks(NamedTuple):
    """Mean states of some of the teacher's blocks.

    Attributes:
        means: over each article (n, layers, width).
        layers: 1-based numbers of the blocks, rising.
        depth: how many blocks the teacher has.
    """

    means: torch.Tensor
    layers: list[int]
    depth: int


@dataclass(frozen=True)
class Lessons:
    """Signals of all articles.

    Attributes:
        table: id, text, domain, language and the columns of `records.SIGNAL`, one row an article.
        states: decision states of the teacher (n, width) in the order of the table; None where no
            loss asks for them.
        rationales: reasons of some articles (`records.RATIONALE`); None where no loss asks.
        blocks: mean states of the teacher in the order of the table; None where no loss asks.
    """

    table: pl.DataFrame
    states: torch.Tensor | None
    rationales: pl.DataFrame | None
    blocks: TeacherBlocks | None = None


def lessons_for(phase: Phase, filtered: Path, signals: Path, labels: Sequence[str]) -> Lessons:
    """Read the lessons of a phase: what the filter kept, and what the teacher said of it.

    Args:
        labels: of the task.

    Raises:
        InputError: if the signals are of another task, or lack what a loss of the phase needs.
    """
    if (found := read_manifest(signals).labels) != list(labels):
        raise InputError(
            f"{signals} holds signals of the labels {', '.join(found)}, and the "
            f"task has {', '.join(labels)}: run `dvc repro teacher-label`"
        )
    table = read_lessons(filtered, signals)
    if strange := table.filter(pl.col("text").is_null())["id"].to_list():
        raise InputError(
            f"{signals} holds {len(strange)} articles that {filtered} does not ({strange[0]}): "
            "run `dvc repro teacher-label`"
        )
    return Lessons(
        table,
        states=read_hidden(signals) if "hidden" in phase.losses else None,
        rationales=read_rationales(signals) if "rationale" in phase.losses else None,
        blocks=read_teacher_blocks(signals) if "ted" in phase.losses else None,
    )


def read_teacher_blocks(signals: Path) -> TeacherBlocks:
    """Read the mean states of the teacher's blocks.

    Raises:
        InputError: if the signals hold none.
    """
    means, layers = read_mean_states(signals)
    return TeacherBlocks(means, layers, read_manifest(signals).blocks)


def read_lessons(filtered: Path, signals: Path) -> pl.DataFrame:
    """Join the texts of the filter with the signals; these decide which articles there are."""
    return lessons_of(
        read_table(filtered / "articles", FILTERED), read_table(signals / "scores", SIGNAL)
    )


def lessons_of(articles: pl.DataFrame, signals: pl.DataFrame) -> pl.DataFrame:
    """Join texts with signals by id; the signals decide which articles there are."""
    wanted = articles.select("id", "text", "domain", "language")
    return signals.join(wanted, on="id", how="left", maintain_order="left")
