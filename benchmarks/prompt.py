"""The prompt search against the seed prompt: accuracy of the teacher, over draws of the shots.

Takes articles and models of the last `dvc repro` (task crisis). Each draw takes 20 annotated
articles as shots; no other label is seen before accuracy is. The search scores prompts as
params.yaml says; `seed_raw`, `seed_calibrated` (batch) and `auto` are the seed prompt under three
calibrations, `searched_batch` and `searched` (auto) the adapted one under two.

    python -m benchmarks.prompt --data FOLDER   # with the files of benchmarks.elsewhere
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from numpy.typing import NDArray

from akd import params
from akd.params import Params
from akd.prompts.adapt import Adaptation, adapt
from akd.prompts.asked import Asked
from akd.prompts.calibration import fit
from akd.prompts.demonstrations import Shot, not_shown
from akd.prompts.template import Prompt
from akd.teacher.asked import asked
from akd.teacher.engine import open_engine
from benchmarks.clone import write_result
from benchmarks.labelled import DATA, Labelled, data_sets
from benchmarks.repeated import over_runs_and_articles

Kind = Literal["none", "batch", "auto"]
SEED: dict[str, Kind] = {"seed_raw": "none", "seed_calibrated": "batch", "auto": "auto"}
SEARCHED: dict[str, Kind] = {"searched_batch": "batch", "searched": "auto"}
GAPS = (
    ("searched", "seed_calibrated"),
    ("searched", "auto"),
    ("searched_batch", "seed_calibrated"),
)
Right = NDArray[np.bool_]


def main(
    data: Annotated[Path | None, typer.Option(help="Folder of other labelled data sets.")] = None,
    draws: Annotated[int, typer.Option(help="How many draws of 20 shots.")] = 3,
    gold: Annotated[int, typer.Option(help="Gold articles of a data set at most.")] = 400,
    budget: Annotated[int | None, typer.Option(help="Instead of prompt.budget.")] = None,
) -> None:
    """Write benchmarks/results/prompt.json."""
    settings = params.load()
    changed = {} if budget is None else {"budget": budget}
    search = settings.prompt.model_copy(update=changed)
    settings = settings.model_copy(update={"prompt": search})
    label = settings.label
    engine = open_engine(
        label.engine,
        DATA / "models" / "teacher",
        text_tokens=label.article_tokens,
        batch_size=label.batch_size,
    )
    teacher = asked(engine, label.article_tokens)
    found = data_sets(
        data,
        gold=gold,
        unlabelled=search.calibration.articles,
        max_characters=settings.clean.max_characters,
    )
    result: dict[str, Any] = {"budget": search.budget, "draws": draws}
    options = " --data FOLDER" if data else ""
    command = f"python -m benchmarks.prompt{options} --draws {draws} --gold {gold}"
    for name, labelled in found:
        result[name] = _figures(labelled, teacher, settings, draws)
        write_result("prompt", command, result)


def _figures(labelled: Labelled, teacher: Asked, settings: Params, draws: int) -> dict[str, Any]:
    """Return accuracy and interval of each contestant, and the paired gaps."""
    right: dict[str, list[Right]] = {}
    searches = []
    for number in range(draws):
        shots = labelled.draw(number, settings.prompt.shots)
        found = adapt(
            labelled.task,
            teacher,
            shots=shots,
            unlabelled=labelled.unlabelled,
            settings=settings.prompt,
            pin=None,
            seed=settings.seed,
        )
        searches.append(_search(found))
        for prompt, kinds in ((found.nodes[0].prompt, SEED), (found.best.prompt, SEARCHED)):
            for name, answers in _right(prompt, kinds, labelled, shots, teacher, settings).items():
                right.setdefault(name, []).append(answers)
    stacked = {name: np.stack(rows).astype(float) for name, rows in right.items()}
    gaps = {f"{one}_minus_{other}": stacked[one] - stacked[other] for one, other in GAPS}
    return {
        "n": len(labelled.gold),
        **{name: over_runs_and_articles(rows, settings) for name, rows in stacked.items()},
        "gap": {name: over_runs_and_articles(rows, settings) for name, rows in gaps.items()},
        "searches": searches,
    }


def _right(
    prompt: Prompt,
    kinds: dict[str, Kind],
    labelled: Labelled,
    shots: list[Shot],
    teacher: Asked,
    settings: Params,
) -> dict[str, Right]:
    """Return under each calibration which gold articles a prompt gets right (gold,)."""
    calibration = settings.prompt.calibration
    layers = teacher.layers_of(calibration)
    free = [shots[number] for number in not_shown(prompt, shots)]
    unlabelled = teacher.score(prompt, labelled.unlabelled, layers)
    told = teacher.score(prompt, [shot.text for shot in free], layers)
    gold = teacher.score(prompt, labelled.gold, layers)
    found = {}
    for name, kind in kinds.items():
        spec = calibration.model_copy(update={"kind": kind})
        calibrator = fit(spec, unlabelled, told, [shot.label for shot in free])
        found[name] = calibrator.probabilities(gold).argmax(axis=1) == labelled.labels
    return found


def _search(found: Adaptation) -> dict[str, Any]:
    """Return how the search of one draw went, and by which steps it came to its prompt."""
    steps, node = [], found.best
    while node.parent >= 0:
        steps.append(node.operator)
        node = found.nodes[node.parent]
    return {"prompts_scored": len(found.nodes), "steps": steps[::-1], **found.summary()["winner"]}


if __name__ == "__main__":
    typer.run(main)
