"""The students of each method on the same signals: AKD, its ablations, and other methods.

Takes signals, articles and models of the last `dvc repro` of a task, and adds its figures to those
of other regimes and methods in the result file; `akd_minus` holds the difference of akd from each,
article by article, teacher and TF-IDF among them. `right` says of each run which gold articles it
got right (bits, in hexadecimal), so that methods that ran on other days on the same lessons and
gold can be compared so, too; `commit` says of which version of the project each is.

Every method sees as many documents, and those of others know nothing of the phases of akd, its
sharpened or shared targets, and DDK; all are read by its pooled readout, and all but `kd` have its
rate. `readout` is that readout in closed form on the student as it is, where every method begins:
what training adds is the difference. `kd` trains all weights on hard labels and a divergence (half
each), `hard` is akd on the teacher's labels without its doubts, `cpt` next tokens alone and then
the closed-form readout; `ted` learns the teacher's distribution and its task-filtered states, which
must be stored (`dvc exp run -S 'label.states=[0.53,0.93]'`); `minillm` learns from what it writes
itself, weighed by the teacher, which is loaded, and then the closed-form readout.

    python -m benchmarks.distill --seeds 3
    python -m benchmarks.distill --seeds 3 --ablations

Speed and memory of a step come from step.json (`python -m benchmarks.step`), where that is there.
"""

import tempfile
from collections.abc import Callable
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
    command += f" --only {only}" * bool(only) + " --ablations" * ablations
    name = "ablations" if ablations else "distill"
    asked_with = settings.prompt.calibration.kind, settings.prompt.shots > 0
    regime = REGIMES.get((settings.task, *asked_with), settings.task)
    result = {**_regimes(name), **measured("step", STEP)}
    found, right = _before(result.get(regime, {}), _same(settings.task, gold, _read(articles)))
    result[regime] = found
    contestants = _contestants(settings.task, gold["id"].to_list(), labels)
    found |= {model: over_articles(rows, settings) for model, rows in contestants.items()}
    right |= contestants
    asked = gold["text"].to_list()
    for method, change in chosen.items():
        teach = untaught if method == "readout" else run_phases
        runs = [_changed(settings, change, settings.seed + number) for number in range(seeds)]
        right[method] = np.stack(
            [_right(teach, run, lessons[method], asked, labels) for run in runs]
        )
        found[method] = {
            **over_articles(right[method], settings),
            "commit": commit(),
            "right": [np.packbits(run.astype(bool)).tobytes().hex() for run in right[method]],
        }
        found["akd_minus"] = _differences(right, settings)
        write_result(name, command, result)


def _same(task: str, gold: pl.DataFrame, lessons: pl.DataFrame) -> dict[str, Any]:
    """Return what figures must agree in to be compared: gold and lessons, in their order."""
    seen = lessons.select("id", "text", "probabilities").write_json()
    return {
        "task": task,
        "n": gold.height,
        "articles": lessons.height,
        "fingerprint": fingerprint({"gold": gold.select("id", "label").write_json(), "seen": seen}),
    }


def _before(
    found: dict[str, Any], same: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Return what earlier runs found that can be compared, and what they got right (runs, n)."""
    if any(found.get(key) != value for key, value in same.items()):
        return dict(same), {}
    runs = {
        name: of["right"] for name, of in found.items() if isinstance(of, dict) and "right" in of
    }
    bits = {
        name: [np.unpackbits(np.frombuffer(bytes.fromhex(run), np.uint8)) for run in some]
        for name, some in runs.items()
    }
    return found, {
        name: np.stack(some)[:, : same["n"]].astype(float) for name, some in bits.items()
    }


def _differences(right: dict[str, Floats], settings: Params) -> dict[str, Any]:
    """Return how much more often akd is right than each other; nothing before it has run.

    Runs of one seed are compared with each other: the first of both, where one has more.
    """
    found = {}
    for other in right.keys() - {"akd"} if "akd" in right else ():
        runs = len(right["akd"])
        if len(right[other]) > 1:
            runs = min(runs, len(right[other]))
        found[other] = over_articles(right["akd"][:runs] - right[other][:runs], settings)
    return dict(sorted(found.items()))


def _read(articles: int) -> pl.DataFrame:
    return read_lessons(DATA / "filtered", DATA / "signals").head(articles)


def _chosen(known: dict[str, Change], only: str, articles: int) -> dict[str, Change]:
    """Return what is to be compared; where there is one domain, all draw from it alike."""
    table = _read(articles)
    names = only.split(",") if only else known
    drawn = set() if table["domain"].n_unique() > 1 else DRAWS
    return {name: known[name] for name in names if name not in drawn}


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
    for model in ("teacher", "tfidf"):
        of_model = said.filter(pl.col("model") == model)
        rows = gold.join(of_model, on="id", how="left", maintain_order="left")
        if rows["label"].null_count():
            raise InputError(f"{DATA / 'predictions'} are not of {task}: dvc repro")
        found[model] = (rows["label"] == rows["is"]).cast(pl.Float64).to_numpy()[None]
    return found


def _changed(settings: Params, change: Change, seed: int) -> Params:
    values = settings.model_dump()
    change(values)
    try:
        return Params.model_validate({**values, "seed": seed})
    except ValidationError as error:
        told = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"{told}; or name the methods that are possible with --only") from None


def _lessons(name: str, settings: Params, articles: int) -> Lessons:
    """Read what the losses of all phases ask for; what is not stored is refused before any run."""
    signals, blocks = DATA / "signals", None
    if any("ted" in phase.losses for phase in settings.distill.phases.values()):
        found = read_teacher_blocks(signals)
        blocks = found._replace(means=found.means[:articles])
    table = _read(articles)
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
