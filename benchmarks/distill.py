"""The students of each method on the same signals: AKD, its ablations, and other methods.

Takes signals, articles and models of the last `dvc repro` of a task, and adds its figures to those
of other regimes in the result file. Every method sees as many documents, and those of others know
nothing of the phases of akd, its sharpened or shared targets, and DDK; all are read by its pooled
readout, and all but `kd` have its rate. `readout` is that readout in closed form on the student as
it is, where every method begins: what training adds is the difference. `kd` trains all weights on
hard labels and a divergence (half each), `hard` is akd on the teacher's labels without its doubts,
`cpt` next tokens alone and then the closed-form readout; `ted` learns the teacher's distribution
and its task-filtered states, which must be stored (`dvc exp run -S label.states=all`, not possible
with the calibration `batch`, which reads none); `minillm` learns from what it writes itself,
weighed by the teacher, which is loaded, and then the closed-form readout.

    python -m benchmarks.distill --seeds 3
    python -m benchmarks.distill --seeds 3 --ablations

Speed and memory of a step come from step.json (`python -m benchmarks.step`), where that is there.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from akd import params
from akd.console import guard
from akd.distill.lessons import Lessons, read_lessons, read_teacher_blocks
from akd.errors import InputError
from akd.evaluate.metrics import Floats, Ints
from akd.io import read_json
from akd.params import Params
from akd.teacher.folder import read_hidden
from benchmarks.clone import last_result, measured, write_result
from benchmarks.methods import ABLATIONS, LESSONS, METHODS, Change
from benchmarks.phases import (
    DATA,
    check_signals,
    gold_of,
    run_phases,
    taught_probabilities,
    untaught,
)
from benchmarks.repeated import over_articles

REGIMES = {
    ("bbc-topics", "auto"): "topics",
    ("bbc-topics", "batch"): "topics_zero_shot",
}
STEP = ("step_ratio_live_teacher", "memory_ratio_live_teacher", "step_ratio_trl")
DRAWS = {"uniform", "proportional", "ddk"}


def main(
    seeds: Annotated[int, typer.Option(help="Runs of each method.")] = 1,
    articles: Annotated[int, typer.Option(help="Lessons, at most.")] = 1000,
    only: Annotated[str, typer.Option(help="Names of methods, with commas; none means all.")] = "",
    ablations: Annotated[bool, typer.Option(help="Ablations instead of methods.")] = False,
) -> None:
    """Write the part of this regime into benchmarks/results/distill.json, or ablations.json."""
    settings = params.load()
    gold, labels = gold_of(settings)
    chosen = _chosen(ABLATIONS if ablations else METHODS, only, articles)
    lessons = {
        name: _lessons(name, _changed(settings, change, settings.seed), articles)
        for name, change in chosen.items()
    }
    command = f"python -m benchmarks.distill --seeds {seeds} --articles {articles}"
    command += " --ablations" * ablations
    name = "ablations" if ablations else "distill"
    regime = REGIMES.get((settings.task, settings.prompt.calibration.kind), settings.task)
    result = {**_regimes(name), **measured("step", STEP)}
    found = result.setdefault(regime, {})
    found |= {"n": len(labels), "articles": articles, **_contestants(settings.task)}
    right: dict[str, Floats] = {}
    for method, change in chosen.items():
        teach = untaught if method == "readout" else run_phases
        runs = [_changed(settings, change, settings.seed + number) for number in range(seeds)]
        asked = gold["text"].to_list()
        right[method] = np.stack(
            [_right(teach, run, lessons[method], asked, labels) for run in runs]
        )
        found[method] = over_articles(right[method], settings)
        if "akd" in right and method != "akd":
            gap = right["akd"] - right[method]
            found.setdefault("akd_minus", {})[method] = over_articles(gap, settings)
        write_result(name, command, result)


def _chosen(known: dict[str, Change], only: str, articles: int) -> dict[str, Change]:
    """Return what is to be compared; where there is one domain, all draw from it alike."""
    table = read_lessons(DATA / "filtered", DATA / "signals").head(articles)
    names = only.split(",") if only else known
    drawn = set() if table["domain"].n_unique() > 1 else DRAWS
    return {name: known[name] for name in names if name not in drawn}


def _regimes(name: str) -> dict[str, Any]:
    """Return what the result file holds of every regime."""
    found = last_result(name).items()
    return {key: value for key, value in found if isinstance(value, dict) and "n" in value}


def _contestants(task: str) -> dict[str, Any]:
    """Return teacher and TF-IDF of the last `dvc repro`, which must be of the task."""
    check_signals(task)
    report = read_json(Path("metrics") / "evaluate.json")
    if report["task"] != task:
        raise InputError(f"metrics/evaluate.json is of {report['task']}: dvc repro")
    return {
        model: {"mean": report[model]["accuracy"], **report[model]["interval"]["accuracy"]}
        for model in ("teacher", "tfidf")
    }


def _changed(settings: Params, change: Change, seed: int) -> Params:
    values = settings.model_dump()
    change(values)
    return Params.model_validate({**values, "seed": seed})


def _lessons(name: str, settings: Params, articles: int) -> Lessons:
    """Read what the losses of all phases ask for; what is not stored is refused before any run."""
    signals, blocks = DATA / "signals", None
    if any("ted" in phase.losses for phase in settings.distill.phases.values()):
        found = read_teacher_blocks(signals)
        blocks = found._replace(means=found.means[:articles])
    table = read_lessons(DATA / "filtered", signals).head(articles)
    table = LESSONS[name](table) if name in LESSONS else table
    return Lessons(table, read_hidden(signals)[:articles], rationales=None, blocks=blocks)


def _right(
    teach: Callable[[Params, Lessons, Path], Any],
    settings: Params,
    lessons: Lessons,
    texts: list[str],
    labels: Ints,
) -> Floats:
    """Teach a student; return 1 for each gold text that it gets right, else 0 (n,)."""
    with tempfile.TemporaryDirectory() as scratch:
        teach(settings, lessons, Path(scratch))
        found = taught_probabilities(settings, Path(scratch), texts)
    return np.asarray(found.argmax(axis=1) == labels, np.float64)


if __name__ == "__main__":
    guard(lambda: typer.run(main))
