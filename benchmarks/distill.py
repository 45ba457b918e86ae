"""The students of each method on the same signals: AKD, its ablations, and other methods.

Takes signals, articles and models of the last `dvc repro` of a task, and adds its figures to those
of other regimes and methods in the result file; `akd_minus` holds the difference of akd from each,
article by article, teacher and TF-IDF among them. `right` says of each run which gold articles it
got right (bits, in hexadecimal), so that methods that ran on other days can be compared so, too,
and none runs twice: the file is written after each run, and what it lacks is run. `commit` and
`fingerprint` are of the code and of all else that decided those runs; a method of which either has
changed begins anew. Ablations take the runs of `akd` over from distill.json.

Every method sees as many documents, and those of others know nothing of the phases of akd, its
sharpened or shared targets, and DDK. All learn at the rate of params.yaml, except `kd`, and all are
read by the pooled readout, fitted in closed form to what they learn, before training and after:
`readout` and, to the teacher's probabilities as they are, `readout_plain` are that on the student
as it is; what training adds is the difference from its own. `kd` trains all weights on hard labels
and a divergence (half each), `hard` is akd on the teacher's labels without its doubts, `cpt` next
tokens of the same articles alone. `ted` learns the teacher's distribution and its task-filtered
states, which must be stored (`dvc exp run -S 'label.states=[0.53,0.93]'`; else it is left out).
`minillm` learns what it writes itself, weighed by the teacher, which is loaded, and next tokens; it
begins from the student as it is, where its authors begin from a fine-tuned one.

    python -m benchmarks.distill --seeds 3
    python -m benchmarks.distill --seeds 3 --ablations

Speed and memory of a step come from step.json (`python -m benchmarks.step`), where that is there.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
from pydantic import ValidationError

from akd import params
from akd.console import guard, say
from akd.distill.lessons import Lessons, read_lessons, read_teacher_blocks
from akd.errors import InputError
from akd.evaluate.metrics import Floats, Ints
from akd.io import read_table
from akd.params import Params
from akd.records import PREDICTION
from akd.task import load_task
from akd.teacher.folder import read_hidden, read_manifest
from benchmarks.clone import last_result, measured, write_result
from benchmarks.kept_runs import (
    SEEDLESS,
    decided,
    differences,
    methods,
    packed,
    part_of,
    unpacked,
)
from benchmarks.methods import ABLATIONS, LESSONS, METHODS, UNTAUGHT, Change
from benchmarks.phases import (
    DATA,
    check_signals,
    gold_of,
    run_phases,
    taught_probabilities,
    untaught,
)
from benchmarks.repeated import over_runs_and_articles

STEP = ("step_ratio_live_teacher", "memory_ratio_live_teacher", "step_ratio_trl")
DRAWS = {"uniform", "proportional"}
_NONE: Floats = np.zeros((0, 0))


def main(
    seeds: Annotated[int, typer.Option(help="Runs of each method.")] = 1,
    articles: Annotated[int, typer.Option(help="Lessons, at most.")] = 1000,
    only: Annotated[str, typer.Option(help="Names of methods, with commas; none means all.")] = "",
    ablations: Annotated[bool, typer.Option(help="Ablations instead of methods.")] = False,
) -> None:
    """Write the part of this regime into benchmarks/results/distill.json, or ablations.json."""
    settings = params.load()
    gold, labels = gold_of(settings)
    table = read_lessons(DATA / "filtered", DATA / "signals").head(articles)
    chosen = _chosen(ABLATIONS if ablations else METHODS, only, table)
    command = f"python -m benchmarks.distill --seeds {seeds} --articles {articles}"
    command += f" --only {only}" * bool(only) + " --ablations" * ablations
    name = "ablations" if ablations else "distill"
    result = {**_regimes(name), **(measured("step", STEP) if name == "distill" else {})}
    found = part_of(result, settings, gold)
    if ablations:
        known = part_of(_regimes("distill"), settings, gold)
        found |= {method: of for method, of in known.items() if method == "akd"}
    right = {method: unpacked(of["right"], gold.height) for method, of in methods(found).items()}
    right |= _contestants(settings.task, gold["id"].to_list(), labels)
    found |= {model: over_runs_and_articles(right[model], settings) for model in SEEDLESS}
    for method, change in chosen.items():
        runs = [_changed(settings, change, number) for number in range(seeds)]
        lessons = _lessons(method, runs[0], table)
        deciding = decided(runs[0], lessons, gold)
        done = right.pop(method, _NONE)
        if any(found.get(method, {}).get(key) != value for key, value in deciding.items()):
            done = _NONE
        teach = untaught if method in UNTAUGHT else run_phases
        for row in _right(teach, runs[len(done) :], lessons, gold, labels):
            right[method] = done = np.vstack([done.reshape(-1, gold.height), row])
            figures = over_runs_and_articles(done, settings)
            found[method] = {**figures, **deciding, "right": packed(done)}
            found["akd_minus"] = differences(right, "akd", settings)
            if ablations:
                found["random_order_minus"] = differences(right, "random_order", settings)
            write_result(name, command, result)
        right[method] = done


def _chosen(known: dict[str, Change], only: str, table: pl.DataFrame) -> dict[str, Change]:
    """Return what is to be compared and can be; where there is one domain, all draw from it alike.

    Raises:
        InputError: if a name is none of them.
    """
    left_out = DRAWS if table["domain"].n_unique() == 1 else set()
    if not only and not read_manifest(DATA / "signals").layers:
        say("ted is left out, since label.states of these signals are empty")
        left_out = left_out | {"ted"}
    possible = {name: change for name, change in known.items() if name not in left_out}
    names = only.split(",") if only else list(possible)
    if strange := [name for name in names if name not in possible]:
        raise InputError(f"{', '.join(strange)}: possible here are {', '.join(possible)}")
    return {name: possible[name] for name in names}


def _regimes(name: str) -> dict[str, Any]:
    """Return what the result file holds of every regime."""
    found = last_result(name).items()
    return {key: value for key, value in found if isinstance(value, dict) and "n" in value}


def _contestants(task: str, ids: list[str], labels: Ints) -> dict[str, Floats]:
    """Return where teacher and TF-IDF of the last `dvc repro` are right, (1, n) each.

    Raises:
        InputError: if that was of another task.
    """
    check_signals(task)
    names = load_task(DATA / "tasks" / task / "task.yaml").label_names
    said = read_table(DATA / "predictions", PREDICTION)
    gold, found = pl.DataFrame({"id": ids, "is": [names[label] for label in labels]}), {}
    for model in SEEDLESS:
        of_model = said.filter(pl.col("model") == model)
        rows = gold.join(of_model, on="id", how="left", maintain_order="left")
        if rows["label"].null_count():
            raise InputError(f"{DATA / 'predictions'} are not of {task}: dvc repro")
        found[model] = (rows["label"] == rows["is"]).cast(pl.Float64).to_numpy()[None]
    return found


def _changed(settings: Params, change: Change, number: int) -> Params:
    values = settings.model_dump()
    change(values)
    try:
        return Params.model_validate({**values, "seed": settings.seed + number})
    except ValidationError as error:
        told = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"{told}; or name the methods that are possible with --only") from None


def _lessons(name: str, settings: Params, table: pl.DataFrame) -> Lessons:
    """Read what the losses of all phases ask for; what is not stored is refused before any run."""
    signals, blocks = DATA / "signals", None
    if any("ted" in phase.losses for phase in settings.distill.phases.values()):
        found = read_teacher_blocks(signals)
        blocks = found._replace(means=found.means[: table.height])
    states = read_hidden(signals)[: table.height]
    table = LESSONS[name](table) if name in LESSONS else table
    return Lessons(table, states, rationales=None, blocks=blocks)


def _right(
    teach: Callable[[Params, Lessons, Path], Any],
    runs: Sequence[Params],
    lessons: Lessons,
    gold: pl.DataFrame,
    labels: Ints,
) -> Iterator[Floats]:
    """Teach a student in each run; yield 1 for what it gets right of gold, else 0 (n).

    They have one folder, in which the first one's frozen states serve the others.
    """
    with tempfile.TemporaryDirectory() as scratch:
        for settings in runs:
            teach(settings, lessons, Path(scratch))
            said = taught_probabilities(settings, Path(scratch), gold["text"].to_list())
            yield (said.argmax(axis=1) == labels).astype(np.float64)


if __name__ == "__main__":
    guard(lambda: typer.run(main))
