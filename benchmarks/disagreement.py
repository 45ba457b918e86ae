"""Who is right where teacher and untrained student disagree, by the topics that editors gave.

Takes signals and models of the last `dvc repro` with `task=bbc-topics`. The student is its first
readout alone, and each article is one of a fifth that was left out of the fit. No stage knows the
topics; run it once for each calibration.

    python -m benchmarks.disagreement
"""

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from akd import params
from akd.console import guard
from akd.distill.curriculum import goal_of
from akd.distill.lessons import read_lessons
from akd.distill.readout import fit_readout
from akd.params import Params
from akd.task import load_task
from benchmarks.clone import measured, write_result
from benchmarks.draw_topics import TASK, topics
from benchmarks.phases import DATA, untaught_pupil

FOLDS = 5
Numbers = NDArray[np.int_]


def main() -> None:
    """Write benchmarks/results/disagreement.json, the part of this calibration."""
    settings, task = params.load(), load_task(TASK / "task.yaml")
    table = read_lessons(DATA / "filtered", DATA / "signals")
    known = topics(task)
    table = table.filter([key in known for key in table["id"]])
    truth = np.array([task.label_names.index(known[key]) for key in table["id"]])
    rows = np.arange(table.height)
    probabilities = goal_of(table, rows, None, settings.distill.target_temperature).probabilities
    teacher = probabilities.argmax(1)
    student = _left_out(settings, table["text"].to_list(), probabilities)
    apart = teacher != student
    found = {
        "n": len(truth),
        "teacher": _share(teacher == truth),
        "student": _share(student == truth),
        "disagree": int(apart.sum()),
        "teacher_where_they_disagree": _share((teacher == truth)[apart]),
        "student_where_they_disagree": _share((student == truth)[apart]),
    }
    kept = measured("disagreement", ("batch", "auto"))
    result = {**kept, settings.prompt.calibration.kind: found}
    write_result("disagreement", "python -m benchmarks.disagreement", result)


def _left_out(settings: Params, texts: list[str], probabilities: NDArray[np.float64]) -> Numbers:
    """Return the label of each article (n,) from a readout that was fitted without it."""
    states = untaught_pupil(settings, texts).features()
    found = np.empty(len(texts), int)
    folds = KFold(FOLDS, shuffle=True, random_state=settings.seed)
    for rest, left_out in folds.split(states):
        readout = fit_readout(states[rest], probabilities[rest])
        found[left_out] = readout(torch.from_numpy(states[left_out])).argmax(1).numpy()
    return found


def _share(right: NDArray[np.bool_]) -> float:
    return round(float(right.mean()), 4)


if __name__ == "__main__":
    guard(lambda: typer.run(main))
