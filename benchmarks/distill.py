"""The students of each method on the same signals: AKD, its ablations, and other methods.

Takes signals, articles and models of the last `dvc repro` of a task, and adds its figures to those
of other regimes and methods in the result file; `akd_minus` holds the difference of akd from each,
article by article, teacher and TF-IDF among them. `right` says of each run which gold articles it
got right (bits, in hexadecimal), so that methods that ran on other days can be compared so, too,
and none runs twice: the file is written after each run, and what it lacks is run. Left out is what
was of another version, or of other parameters, lessons or gold. Ablations take the runs of `akd`
over from distill.json.

Every method sees as many documents, and those of others know nothing of the phases of akd, its
sharpened or shared targets, and DDK; all are read by its pooled readout, fitted in closed form to
what they learn, before training and after. `readout` is that on the student as it is, where akd
begins: what training adds is the difference. `kd` trains all weights on hard labels and a
divergence (half each), `hard` is akd on the teacher's labels without its doubts. The others train
adapters at the rate of the paper: `cpt` next tokens alone; `ted` the teacher's distribution and its
task-filtered states, which must be stored (`dvc exp run -S 'label.states=[0.53,0.93]'`); `minillm`
what it writes itself, weighed by the teacher, which is loaded.

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
from akd.console import guard
from akd.distill.lessons import Lessons, read_lessons, read_teacher_blocks
from akd.errors import InputError
from akd.evaluate.metrics import Floats, Ints
from akd.io import fingerprint, read_table
from akd.params import Params
from akd.records import PREDICTION
from akd.task import load_task
from akd.teacher.folder import read_hidden
from benchmarks.clone import commit, last_result, measured, write_result
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
    ("bbc-topics", "auto", True): "topics",
    ("bbc-topics", "batch", False): "topics_zero_shot",
}
STEP = ("step_ratio_live_teacher", "memory_ratio_live_teacher", "step_ratio_trl")
DRAWS = {"uniform", "proportional"}
SEEDLESS = ("teacher", "tfidf")
DECIDES = {"seed", "pairs", "pair", "adapter", "quantization", "optimizer", "distill"}
"""Sections of params.yaml that decide what a student learns from its lessons."""


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
    lessons = {
        name: _lessons(name, _changed(settings, change, 0), table)
        for name, change in chosen.items()
    }
    command = f"python -m benchmarks.distill --seeds {seeds} --articles {articles}"
    command += f" --only {only}" * bool(only) + " --ablations" * ablations
    name = "ablations" if ablations else "distill"
    result = {**_regimes(name), **measured("step", STEP)}
    found, right = _begun(result, settings, gold, table)
    if ablations:
        known, of_methods = _begun(_regimes("distill"), settings, gold, table)
        if "akd" in of_methods:
            found["akd"], right["akd"] = known["akd"], of_methods["akd"]
    right |= _contestants(settings.task, gold["id"].to_list(), labels)
    found |= {model: over_articles(right[model], settings) for model in SEEDLESS}
    for method, change in chosen.items():
        teach = untaught if method == "readout" else run_phases
        done = right.pop(method, np.zeros((0, gold.height)))
        runs = [_changed(settings, change, number) for number in range(len(done), seeds)]
        for row in _right(teach, runs, lessons[method], gold, labels):
            right[method] = done = np.vstack([done, row])
            found[method] = {**over_articles(done, settings), "right": _packed(done)}
            found["akd_minus"] = _differences(right, "akd", settings)
            if ablations:
                found["random_order_minus"] = _differences(right, "random_order", settings)
            write_result(name, command, result)
        right[method] = done


def _begun(
    result: dict[str, Any], settings: Params, gold: pl.DataFrame, lessons: pl.DataFrame
) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Return the result's part of this regime, and what its methods got right (runs, n).

    Runs of another version, of other parameters, or on other lessons or gold are left out.
    """
    asked_with = settings.prompt.calibration.kind, settings.prompt.shots > 0
    regime = REGIMES.get((settings.task, *asked_with), settings.task)
    seen = lessons.select("id", "text", "domain", "language", "log_probabilities", "probabilities")
    version = commit()
    same = {
        "task": settings.task,
        "n": gold.height,
        "articles": lessons.height,
        "commit": version,
        "fingerprint": fingerprint(
            {
                "gold": gold.select("id", "label").write_json(),
                "lessons": seen.write_json(),
                "parameters": settings.model_dump(mode="json", include=DECIDES),
                "tokens": settings.label.article_tokens,
            }
        ),
    }
    found = result.get(regime, {})
    if any(found.get(key) != value for key, value in same.items()) or "+" in version:
        result[regime] = same
        return result[regime], {}
    runs = {
        name: of["right"] for name, of in found.items() if isinstance(of, dict) and "right" in of
    }
    return found, {name: _unpacked(some, gold.height) for name, some in runs.items()}


def _packed(right: Floats) -> list[str]:
    return [np.packbits(run.astype(bool)).tobytes().hex() for run in right]


def _unpacked(runs: list[str], count: int) -> Floats:
    bits = [np.unpackbits(np.frombuffer(bytes.fromhex(run), np.uint8))[:count] for run in runs]
    return np.stack(bits).astype(float)


def _differences(right: dict[str, Floats], one: str, settings: Params) -> dict[str, Any]:
    """Return how much more often one is right than each other; nothing before it has run.

    Runs of one seed are compared with each other, the first ones of both where one has more;
    teacher and TF-IDF have no seed.
    """
    found = {}
    for other in sorted(right.keys() - {one}) if one in right else ():
        mine, others = right[one], right[other]
        if other not in SEEDLESS:
            runs = min(len(mine), len(others))
            mine, others = mine[:runs], others[:runs]
        found[other] = over_articles(mine - others, settings)
    return found


def _chosen(known: dict[str, Change], only: str, table: pl.DataFrame) -> dict[str, Change]:
    """Return what is to be compared; where there is one domain, all draw from it alike.

    Raises:
        InputError: if a name is none of them.
    """
    alike = DRAWS if table["domain"].n_unique() == 1 else set()
    possible = {name: change for name, change in known.items() if name not in alike}
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
