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

import math
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
from benchmarks.clone import measured, write_result
from benchmarks.phases import (
    DATA,
    FULL_RATE,
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

Change = Callable[[dict[str, Any]], None]
"""Changes settings, as plain values, in place."""


def _losses(**weights: float) -> Change:
    def change(settings: dict[str, Any]) -> None:
        for phase in settings["distill"]["phases"].values():
            phase["losses"] = weights

    return change


def _one_phase(settings: dict[str, Any]) -> None:
    """Let the last phase learn alone, for as many documents as all phases see."""
    distill = settings["distill"]
    phases = distill["phases"].values()
    seen = sum(p["epochs"] * (p["articles"][1] - p["articles"][0]) for p in phases)
    epochs = math.ceil(seen)
    shares = {"epochs": epochs, "articles": [0.0, seen / epochs]}
    last = {**distill["phases"][distill["final"]], "init_from": "student", **shares}
    distill["phases"] = {distill["final"]: last}


def _plain(settings: dict[str, Any]) -> None:
    """Learn the teacher's distribution as it is, of articles as they come, in one phase."""
    _one_phase(settings)
    settings["distill"].update(target_temperature=1.0, own_share=0.0, difficulty="random")
    settings["distill"]["sampling"]["kind"] = "proportional"


def _kd(settings: dict[str, Any]) -> None:
    """Train all weights on the teacher's labels and a divergence from it, half each."""
    _plain(settings)
    _losses(hard_cross_entropy=0.5, kl=0.5)(settings)
    settings["adapter"]["kind"] = "full"
    settings["optimizer"]["learning_rate"] = FULL_RATE


def _cpt(settings: dict[str, Any]) -> None:
    _plain(settings)
    _losses(next_token=1.0)(settings)


def _ted(settings: dict[str, Any]) -> None:
    _plain(settings)
    settings["label"]["states"] = "all"
    _losses(soft_cross_entropy=1.0, ted=1.0)(settings)


def _minillm(settings: dict[str, Any]) -> None:
    _plain(settings)
    _losses(minillm=1.0)(settings)


def _distill(**values: Any) -> Change:
    return lambda settings: settings["distill"].update(values)


def _sampling(kind: str) -> Change:
    return lambda settings: settings["distill"]["sampling"].update(kind=kind)


def _nothing(_settings: dict[str, Any]) -> None:
    pass


METHODS: dict[str, Change] = {
    "readout": _nothing,
    "akd": _nothing,
    "kd": _kd,
    "hard": _losses(hard_cross_entropy=1.0),
    "cpt": _cpt,
    "ted": _ted,
    "minillm": _minillm,
}
ABLATIONS: dict[str, Change] = {
    "random_order": _distill(difficulty="random"),
    "one_phase": _one_phase,
    "uniform": _sampling("uniform"),
    "proportional": _sampling("proportional"),
    "ddk": _sampling("ddk"),
    "hidden": _losses(soft_cross_entropy=1.0, hidden=0.1),
    "same_prompt": _distill(student_prompt="same"),
}
DRAWS = {"uniform", "proportional", "ddk"}  # ablations that are none where there is one domain


def main(
    seeds: Annotated[int, typer.Option(help="Runs of each method.")] = 1,
    articles: Annotated[int, typer.Option(help="Lessons, at most.")] = 1000,
    only: Annotated[str, typer.Option(help="Names of methods, with commas; none means all.")] = "",
    ablations: Annotated[bool, typer.Option(help="Ablations instead of methods.")] = False,
) -> None:
    """Write the part of this regime into benchmarks/results/distill.json, or ablations.json."""
    settings = params.load()
    gold, labels = gold_of(settings)
    known = ABLATIONS if ablations else METHODS
    chosen = {name: known[name] for name in (only.split(",") if only else known)}
    table = read_lessons(DATA / "filtered", DATA / "signals").head(articles)
    if table["domain"].n_unique() == 1:
        chosen = {name: change for name, change in chosen.items() if name not in DRAWS}
    lessons = {
        name: _lessons(_changed(settings, change, settings.seed), articles)
        for name, change in chosen.items()
    }
    name = "ablations" if ablations else "distill"
    regime = REGIMES.get((settings.task, settings.prompt.calibration.kind), settings.task)
    kept = measured(name, [*REGIMES.values(), regime])
    result = {**kept, **measured("step", STEP)}
    found = result.setdefault(regime, {})
    found |= {"n": len(labels), "articles": articles, **_contestants(settings.task)}
    for method, change in chosen.items():
        right = [
            _right(
                untaught if method == "readout" else run_phases,
                _changed(settings, change, seed),
                lessons[method],
                gold["text"].to_list(),
                labels,
            )
            for seed in range(settings.seed, settings.seed + seeds)
        ]
        found[method] = over_articles(np.stack(right), settings)
        command = f"python -m benchmarks.distill --seeds {seeds} --articles {articles}"
        write_result(name, command + " --ablations" * ablations, result)


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


def _lessons(settings: Params, articles: int) -> Lessons:
    """Read what the losses of all phases ask for; what is not stored is refused before any run."""
    signals, blocks = DATA / "signals", None
    if any("ted" in phase.losses for phase in settings.distill.phases.values()):
        found = read_teacher_blocks(signals)
        blocks = found._replace(means=found.means[:articles])
    table = read_lessons(DATA / "filtered", signals).head(articles)
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
