"""DDK against other ways to draw where one domain is planted to be hard for the student.

Takes signals, articles and models of the last `dvc repro` with `task=bbc-topics`. A fifth of the
lessons is given to the student in a simple cipher, as a domain of its own: the teacher has read the
plain words, and the student must learn new ones. All ways draw as many articles in one phase of
the teacher's targets alone, and none learns from what DDK measures on; what counts is accuracy on
gold articles in the cipher. The intervals are over seeds.

    python -m benchmarks.hard_domain --seeds 5
"""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray

from akd import params
from akd.console import guard
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
)
from benchmarks.repeated import over_runs_and_articles

SHARE = 5  # one article of so many is in the cipher
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SHIFTED = _LETTERS[13:] + _LETTERS[:13]
_CIPHER = str.maketrans(_LETTERS + _LETTERS.upper(), _SHIFTED + _SHIFTED.upper())


def main(
    seeds: Annotated[int, typer.Option(help="Runs of each way to draw.")] = 5,
    articles: Annotated[int, typer.Option(help="Lessons, at most.")] = 500,
    gold: Annotated[int, typer.Option(help="Annotated articles, at most.")] = 300,
    epochs: Annotated[int, typer.Option(help="Of the phase.")] = 3,
) -> None:
    """Write benchmarks/results/hard_domain.json."""
    settings = params.load()
    check_signals(settings.task)
    lessons = _planted(read_lessons(DATA / "filtered", DATA / "signals").head(articles))
    table, labels = gold_of(settings)
    rows = np.random.default_rng(settings.seed).permutation(len(labels))[:gold]
    texts = [text.translate(_CIPHER) for text in table["text"].gather(rows)]
    found: dict[str, Any] = {
        "task": settings.task,
        "n": len(rows),
        "articles": lessons.height,
        "epochs": epochs,
        "commit": commit(),
    }
    right: dict[str, list[NDArray[np.bool_]]] = {}
    weights: list[list[float]] = []
    for seed in range(settings.seed, settings.seed + seeds):
        for kind in ("ddk", "uniform", "proportional"):
            answers, measured = _taught(_settings(settings, kind, epochs, seed), lessons, texts)
            right.setdefault(kind, []).append(answers == labels[rows])
            weights += [measured] * (kind == "ddk")
        stacked = {kind: np.stack(runs).astype(float) for kind, runs in right.items()}
        found |= {kind: over_runs_and_articles(runs, settings) for kind, runs in stacked.items()}
        for other in ("uniform", "proportional"):
            gap = stacked["ddk"] - stacked[other]
            found[f"ddk_minus_{other}"] = over_runs_and_articles(gap, settings)
        found |= {"share_of_the_hard_domain": 1 / SHARE, "ddk_weights_of_it": weights}
        command = f"python -m benchmarks.hard_domain --seeds {seeds} --articles {articles}"
        write_result("hard_domain", f"{command} --gold {gold} --epochs {epochs}", found)


def _planted(lessons: pl.DataFrame) -> pl.DataFrame:
    """Put every fifth article into the cipher, and name the two domains."""
    hard = pl.int_range(pl.len()) % SHARE == 0
    ciphered = [text.translate(_CIPHER) for text in lessons["text"]]
    return lessons.with_columns(
        text=pl.when(hard).then(pl.Series(ciphered)).otherwise("text"),
        domain=pl.when(hard).then(pl.lit("cipher")).otherwise(pl.lit("plain")),
    )


def _settings(settings: Params, kind: str, epochs: int, seed: int) -> Params:
    values = settings.model_dump()
    final = settings.distill.final
    changes = {"init_from": "student", "articles": [0.0, 1.0], "epochs": epochs}
    phase = {**values["distill"]["phases"][final], **changes}
    values["distill"].update(phases={final: phase}, own_share=0.0)
    values["distill"]["sampling"].update(kind=kind, by="domain", every=8)
    return Params.model_validate({**values, "seed": seed})


def _taught(settings: Params, lessons: pl.DataFrame, texts: list[str]) -> tuple[Ints, list[float]]:
    """Return the labels that the student gives the texts, and DDK's weights of the hard domain."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        results = run_phases(settings, Lessons(lessons, None, None), folder)
        answers = taught_probabilities(settings, folder, texts).argmax(axis=1)
    log = results[settings.distill.final].domains
    weights = log.filter(pl.col("domain") == "cipher")["weight"]
    return answers, [round(weight, 4) for weight in weights]


if __name__ == "__main__":
    guard(lambda: typer.run(main))
