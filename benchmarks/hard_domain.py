"""DDK against other ways to draw where one domain is planted to be hard for the student.

Takes signals, articles and models of the last `dvc repro` with `task=bbc-topics`. The lessons are
dealt into five domains. In one, every article comes behind the beginning of another one: the
teacher has read it alone, and the student must learn which of the two is meant. All ways draw as
many articles in one phase of the teacher's targets alone, and none learns from what DDK measures
on; what counts is accuracy on gold articles that are hidden in the same manner. Beside them stands
the readout that they begin with, which draws nothing. The intervals are over seeds and articles.
Each run has a process with one core.

    python -m benchmarks.hard_domain --seeds 3
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NamedTuple

import numpy as np
import polars as pl
import torch
import typer
from numpy.typing import NDArray

from akd import params
from akd.console import guard, workers
from akd.distill.lessons import Lessons, read_lessons
from akd.evaluate.metrics import Ints
from akd.params import Params
from benchmarks.clone import commit, write_result
from benchmarks.phases import (
    DATA,
    check_signals,
    gold_of,
    run_phases,
    taught_probabilities,
    untaught,
)
from benchmarks.repeated import over_runs_and_articles

WAYS = ("ddk", "uniform", "proportional", "readout")
HARD = "behind another"
SHARE = 6  # one article of so many is in the hard domain
PLAIN = 4  # domains, among which the others are dealt
CHARACTERS = 350  # of each of the two; both together have to fit what the student reads


class Run(NamedTuple):
    """One student: how its lessons are drawn if at all, and how often it reads them."""

    way: str
    seed: int
    epochs: int


class Examination(NamedTuple):
    """What all students learn from, and what they are asked: gold texts and labels (n)."""

    lessons: pl.DataFrame
    texts: list[str]
    labels: Ints


class Taught(NamedTuple):
    """What is right of the student's answers (n), and DDK's weights of the hard domain."""

    right: NDArray[np.float64]
    weights: list[float]


def main(
    seeds: Annotated[int, typer.Option(help="Runs of each way to draw.")] = 3,
    articles: Annotated[int, typer.Option(help="Lessons, at most.")] = 1000,
    gold: Annotated[int, typer.Option(help="Annotated articles, at most.")] = 600,
    epochs: Annotated[int, typer.Option(help="Of the phase.")] = 1,
) -> None:
    """Write benchmarks/results/hard_domain.json."""
    settings = params.load()
    check_signals(settings.task)
    numbers = range(settings.seed, settings.seed + seeds)
    runs = [Run(way, seed, epochs) for seed in numbers for way in WAYS]
    examination = _examination(settings, articles, gold)
    command = f"python -m benchmarks.hard_domain --seeds {seeds} --articles {articles}"
    command += f" --gold {gold} --epochs {epochs}"
    about = {
        "task": settings.task,
        "articles": examination.lessons.height,
        "epochs": epochs,
        "commit": commit(),
    }
    done: dict[str, list[Taught]] = {way: [] for way in WAYS}
    with ProcessPoolExecutor(workers(), get_context("spawn")) as pool:
        for run, taught in zip(runs, pool.map(partial(_taught, examination), runs), strict=True):
            done[run.way].append(taught)
            if run.way == WAYS[-1]:
                write_result("hard_domain", command, {**about, **_compared(done, settings)})


def _compared(done: dict[str, list[Taught]], settings: Params) -> dict[str, Any]:
    """Return the accuracy of each way to draw, what DDK is ahead, and whither it shifted."""
    right = {way: np.stack([taught.right for taught in runs]) for way, runs in done.items()}
    ddk, *others = WAYS
    gaps = {f"{ddk}_minus_{way}": right[ddk] - right[way] for way in others}
    return {
        "n": right[ddk].shape[1],
        **{name: over_runs_and_articles(rows, settings) for name, rows in (right | gaps).items()},
        "share_of_the_hard_domain": round(1 / SHARE, 4),
        "ddk_weights_of_it": [taught.weights for taught in done[ddk]],
    }


def _examination(settings: Params, articles: int, gold: int) -> Examination:
    """Read lessons and gold articles, and put those of the hard domain behind others."""
    lessons = _planted(read_lessons(DATA / "filtered", DATA / "signals").head(articles))
    table, labels = gold_of(settings)
    rows = np.random.default_rng(0).permutation(len(labels))[:gold]
    return Examination(lessons, _behind_another(table["text"].gather(rows).to_list()), labels[rows])


def _taught(examination: Examination, run: Run) -> Taught:
    """Teach a student on one core, and ask it about gold articles behind others."""
    torch.set_num_threads(1)
    settings = _settings(params.load(), run)
    with TemporaryDirectory() as scratch:
        lessons = Lessons(examination.lessons, None, None)
        weights = _learn(settings, run, lessons, Path(scratch))
        said = taught_probabilities(settings, Path(scratch), examination.texts)
    right = said.argmax(axis=1) == examination.labels
    return Taught(right.astype(np.float64), weights)


def _learn(settings: Params, run: Run, lessons: Lessons, folder: Path) -> list[float]:
    """Write the student, and return DDK's weights of the hard domain, if it drew by any."""
    if run.way == "readout":
        untaught(settings, lessons, folder)
        return []
    log = run_phases(settings, lessons, folder)[settings.distill.final].domains
    weights = log.filter(pl.col("domain") == HARD)["weight"]
    return [round(weight, 4) for weight in weights]


def _planted(lessons: pl.DataFrame) -> pl.DataFrame:
    """Put some articles behind others, and deal the rest into the plain domains."""
    rows = np.arange(lessons.height)
    hard = pl.int_range(pl.len()) % SHARE == 0
    hidden = _behind_another(lessons["text"].to_list())
    plain = [f"plain {row % PLAIN + 1}" for row in rows - rows // SHARE]
    return lessons.with_columns(
        text=pl.when(hard).then(pl.Series(hidden)).otherwise("text"),
        domain=pl.when(hard).then(pl.lit(HARD)).otherwise(pl.Series(plain)),
    )


def _behind_another(texts: Sequence[str]) -> list[str]:
    """Return the beginning of each text behind that of another one."""
    order = np.random.default_rng(0).permutation(len(texts))
    others = np.empty_like(order)
    others[order] = np.roll(order, 1)  # none stands behind itself
    return [
        f"{texts[other][:CHARACTERS]} *** {text[:CHARACTERS]}"
        for other, text in zip(others, texts, strict=True)
    ]


def _settings(settings: Params, run: Run) -> Params:
    values = settings.model_dump()
    final = settings.distill.final
    changes = {"init_from": "student", "articles": [0.0, 1.0], "epochs": run.epochs}
    phase = {**values["distill"]["phases"][final], **changes}
    values["distill"].update(phases={final: phase}, own_share=0.0)
    values["distill"]["sampling"].update(by="domain", every=8)
    if run.way != "readout":
        values["distill"]["sampling"]["kind"] = run.way
    return Params.model_validate({**values, "seed": run.seed})


if __name__ == "__main__":
    guard(lambda: typer.run(main))
