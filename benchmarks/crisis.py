"""crisis over draws of the 20 shots: teacher under each calibration, and the students taught by it.

Takes prompt, articles and models of the last `dvc repro`; each draw takes 20 of the English gold
articles as shots and tests on all other gold. The prompt stays the one that was adapted on the
shipped shots, which are in no draw and no test.

    python -m benchmarks.crisis --draws 40 --students 5
"""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray

from akd import params
from akd.corpus.sampling import sample
from akd.distill.lessons import Lessons, lessons_of, read_lessons
from akd.evaluate.baseline import tfidf_probabilities
from akd.prompts import store
from akd.prompts.calibration import Calibrator, fit, select
from akd.records import Scores
from akd.task import load_task
from akd.teacher.engine import open_engine
from akd.teacher.label import signals
from benchmarks.clone import measured, write_result
from benchmarks.phases import DATA, gold_of, run_phases, taught_probabilities

TASK = DATA / "tasks" / "crisis"
STUDENTS = ("student", "student_english", "tfidf_full_text", "tfidf_full_text_english")
Ints = NDArray[np.int_]


def main(
    draws: Annotated[int, typer.Option(help="How many draws of 20 shots.")] = 40,
    students: Annotated[int, typer.Option(help="For how many of them a student is taught.")] = 5,
    kept: Annotated[
        int, typer.Option(help="Of the first so many the result file holds the student's figures.")
    ] = 0,
) -> None:
    """Write benchmarks/results/crisis.json."""
    settings = params.load()
    command = f"python -m benchmarks.crisis --draws {draws} --students {students} --kept {kept}"
    table, gold = gold_of(settings.model_copy(update={"task": TASK.name}))
    english = (table["language"] == "en").to_numpy()
    lessons = read_lessons(DATA / "filtered", DATA / "signals")
    annotated, taught = _scores(table["text"].to_list()), _scores(lessons["text"].to_list())
    free = select(taught, sample(lessons["id"].to_list(), settings.prompt.calibration.articles))
    before = measured("crisis", ["draws"]).get("draws", [])
    rows: list[dict[str, float]] = []
    for number in range(draws):
        shots = _draw(gold, english, number)
        rest = np.setdiff1d(np.arange(len(gold)), shots)
        row: dict[str, float] = {}
        for kind in ("none", "batch", "shots_probe", "auto"):
            spec = settings.prompt.calibration.model_copy(update={"kind": kind})
            found = fit(spec, free, select(annotated, shots), gold[shots].tolist())
            right = found.probabilities(annotated).argmax(axis=1) == gold
            row[f"teacher_{kind}"] = float(right[rest].mean())
            row[f"teacher_{kind}_english"] = float(right[rest][english[rest]].mean())
        if number < students:
            row |= (
                {key: before[number][key] for key in STUDENTS}
                if number < kept
                else _student(found, taught, lessons, table, gold, rest)
            )
            row["student_minus_teacher_auto"] = row["student"] - row["teacher_auto"]
        rows.append(row)
        write_result("crisis", command, {**_summary(rows), "n": len(gold) - 20, "draws": rows})


def _scores(texts: list[str]) -> Scores:
    """Score with the adapted prompt; what teacher-label has stored is not scored again."""
    label, adapted = params.load().label, store.load(DATA / "prompt")
    engine = open_engine(
        label.engine,
        DATA / "models" / "teacher",
        text_tokens=label.article_tokens,
        batch_size=label.batch_size,
    )
    return engine.score(adapted.prompt, texts, adapted.layers)


def _draw(gold: Ints, english: NDArray[np.bool_], seed: int) -> Ints:
    """Draw 7, 7 and 6 English articles of the three labels."""
    draw = np.random.default_rng(seed)
    parts = [
        draw.choice(np.flatnonzero((gold == label) & english), size, replace=False)
        for label, size in enumerate((7, 7, 6))
    ]
    return np.concatenate(parts)


def _student(
    calibrator: Calibrator,
    scores: Scores,
    lessons: pl.DataFrame,
    table: pl.DataFrame,
    gold: Ints,
    rest: Ints,
) -> dict[str, float]:
    """Teach a student what this teacher says; return accuracies of it and of TF-IDF."""
    settings, task = params.load(), load_task(TASK / "task.yaml")
    frame, _ = signals(lessons["id"].to_list(), scores, calibrator, task.label_names)
    taught = lessons_of(lessons, frame)
    texts = table["text"].to_list()
    with tempfile.TemporaryDirectory() as scratch:
        run_phases(settings, Lessons(taught, states=None, rationales=None), Path(scratch))
        found = taught_probabilities(settings, Path(scratch), texts)
    labels = [task.label_names.index(label) for label in taught["label"]]
    tfidf = tfidf_probabilities(taught["text"].to_list(), labels, texts, len(task.labels))
    english = (table["language"] == "en").to_numpy()
    report = {}
    for name, probabilities in (("student", found), ("tfidf_full_text", tfidf)):
        right = (probabilities.argmax(axis=1) == gold)[rest]
        report[name] = float(right.mean())
        report[f"{name}_english"] = float(right[english[rest]].mean())
    return report


def _summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Return mean, standard deviation over draws and number of draws of each figure."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    values = {name: [row[name] for row in rows if name in row] for name in names}
    return {
        name: {
            "mean": round(float(np.mean(found)), 4),
            "spread": round(float(np.std(found, ddof=min(1, len(found) - 1))), 4),
            "draws": len(found),
        }
        for name, found in values.items()
    }


if __name__ == "__main__":
    typer.run(main)
