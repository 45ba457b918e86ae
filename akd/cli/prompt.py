"""The teacher's prompt by hand: look at its search, try one of your own, pin it.

What brings torch is imported by the command that needs it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from akd import params
from akd.errors import InputError
from akd.io import read_json_lines
from akd.params import Params
from akd.specs.prompts import Pin
from akd.task import Task, load_task

if TYPE_CHECKING:
    from akd.prompts.demonstrations import Shot
    from akd.prompts.template import Prompt

app = typer.Typer(no_args_is_help=True, help=__doc__.partition("\n")[0])

_PARAMS = Path("params.yaml")
_Folder = Annotated[Path, typer.Option(help="What the prompt stage wrote.")]
_FromTree = Annotated[int | None, typer.Option(help="Number of a prompt in `akd prompt show`.")]
_PROMPT = Path("data/prompt")


@app.command(epilog="Example: akd prompt show")
def show(folder: _Folder = _PROMPT) -> None:
    """Print the tree of the search: each prompt under the one that it was made of."""
    from akd.prompts import store

    rows = _tree(folder)
    best = store.load(folder).prompt
    branches: dict[int, Tree] = {-1: Tree(f"prompts of {folder}, by their score in nats")}
    for row in rows:
        above = branches[row["parent"]]
        told = _changed_parts(row, rows)
        spread = row["sensitivity"]
        line = f"#{row['number']} {row['operator']} {row['score']:.3f}"
        line += "" if spread is None else f" ± {spread:.3f}"
        line += f", accuracy {row['accuracy']:.2f} on {len(row['shot_labels'])} shots{told}"
        won = store.prompt_of(row["prompt"], folder) == best
        branches[row["number"]] = above.add(f"[bold]{line} (taken)[/bold]" if won else line)
    Console().print(branches[-1], soft_wrap=True)


@app.command("try", epilog='Example: akd prompt try --words "danger,advice,good" --cue "\\nIt is"')
def attempt(
    file: Annotated[
        Path | None, typer.Argument(help="A prompt, YAML or JSON; most parts are options too.")
    ] = None,
    from_tree: _FromTree = None,
    instruction: Annotated[str | None, typer.Option(help="{labels} stands for the words.")] = None,
    words: Annotated[str | None, typer.Option(help="One for each label, with commas.")] = None,
    cue: Annotated[str | None, typer.Option(help="What stands after each article.")] = None,
    article: Annotated[str | None, typer.Option(help="What stands before each article.")] = None,
    system: Annotated[str | None, typer.Option(help="The system message of a chat.")] = None,
    chat: Annotated[bool | None, typer.Option(help="Whether the chat template is used.")] = None,
    folder: _Folder = _PROMPT,
) -> None:
    """Measure a prompt of your own beside the adapted one, on the same shots and articles.

    What you do not name is taken from the adapted prompt, or from the one of --from-tree.
    """
    from akd.prompts.pin import changed

    given = {
        "instruction": _plain(instruction),
        "words": None if words is None else [word.strip() for word in words.split(",")],
        "cue": _plain(cue),
        "article": _plain(article),
        "system": _plain(system),
        "chat": chat,
    }
    parts = {name: value for name, value in given.items() if value is not None}
    settings = params.load(_PARAMS)
    winner = _adapted(settings, folder)
    mine = changed(_pin(file, from_tree, folder, winner), parts, "akd prompt try")
    table = Table(title=f"task {settings.task}, the same articles and shots for both")
    for column in ("prompt", "log-probability", "mutual information", "accuracy", "shots"):
        table.add_column(column, justify="left" if column == "prompt" else "right")
    for name, *figures, shots in _measured(settings, mine, winner):
        table.add_row(name, *(f"{figure:.3f}" for figure in figures), str(shots))
    Console().print(table)


@app.command(epilog="Example: akd prompt pin mine.yaml")
def pin(
    file: Annotated[Path | None, typer.Argument(help="A prompt, YAML or JSON.")] = None,
    from_tree: _FromTree = None,
    folder: _Folder = _PROMPT,
) -> None:
    """Write a prompt into params.yaml for the current task; `dvc repro` then searches none.

    What the file does not name is taken from the adapted prompt, or from the one of --from-tree.
    """
    from akd.prompts.pin import pinned_prompt, write_pins

    if file is None and from_tree is None:
        raise InputError("akd prompt pin: name a file, or a prompt of the tree (`--from-tree 3`)")
    settings = params.load(_PARAMS)
    found = _pin(file, from_tree, folder, _adapted(settings, folder))
    task, shots = _task_and_shots(settings)
    pinned_prompt(found, shots, len(task.labels), settings.prompt.shown_characters)
    write_pins(_PARAMS, {**settings.prompt.pins, settings.task: found})
    Console().print(f"pinned for task {settings.task} in {_PARAMS}: `dvc repro` adapts it")


@app.command(epilog="Example: akd prompt unpin")
def unpin() -> None:
    """Take the prompt of the current task out of params.yaml; `dvc repro` then searches one."""
    from akd.prompts.pin import write_pins

    settings = params.load(_PARAMS)
    if settings.task not in settings.prompt.pins:
        raise InputError(f"task {settings.task} has no pinned prompt in {_PARAMS}: pin one first")
    rest = {task: kept for task, kept in settings.prompt.pins.items() if task != settings.task}
    write_pins(_PARAMS, rest)
    Console().print(f"task {settings.task} has no pin any more: `dvc repro` searches")


def _adapted(settings: Params, folder: Path) -> "Prompt":
    """Return the adapted prompt.

    Raises:
        InputError: if it is of other labels than those of the current task.
    """
    from akd.prompts import store

    names, found = load_task(_task_file(settings)).label_names, store.load(folder)
    if list(found.labels) != names:
        raise InputError(
            f"{folder} is of the labels {', '.join(found.labels)}, but the task {settings.task} "
            f"has {', '.join(names)}: run the stage for this task first (dvc repro prompt)"
        )
    return found.prompt


def _task_file(settings: Params) -> Path:
    return Path("data/tasks") / settings.task / "task.yaml"


def _tree(folder: Path) -> list[dict[str, Any]]:
    path = folder / "tree.jsonl"
    if not path.is_file():
        raise InputError(f"{path} does not exist: run the stage that writes it (dvc repro prompt)")
    return read_json_lines(path)


def _pin(file: Path | None, from_tree: int | None, folder: Path, adapted: "Prompt") -> Pin:
    """Return the parts of a prompt: of the file, then of the tree or of the adapted prompt."""
    from akd.prompts.pin import pin_of, read_pin
    from akd.prompts.store import prompt_of

    if from_tree is None:
        base = pin_of(adapted)
    else:
        rows = {row["number"]: row for row in _tree(folder)}
        if from_tree not in rows:
            raise InputError(f"{folder} has no prompt {from_tree}: name one of 0 to {max(rows)}")
        base = pin_of(prompt_of(rows[from_tree]["prompt"], folder))
    return base if file is None else read_pin(file, base)


def _changed_parts(row: Mapping[str, Any], rows: list[dict[str, Any]]) -> str:
    """Return what a prompt has that the one above it has not."""
    if row["parent"] < 0:
        return ""
    own, above = row["prompt"], rows[row["parent"]]["prompt"]
    parts = {name: value for name, value in own.items() if value != above[name]}
    if "demonstrations" in parts:
        parts["demonstrations"] = [shown["shot"] for shown in own["demonstrations"]]
    return escape("".join(f"; {name}: {value!r}" for name, value in parts.items()))


def _plain(text: str | None) -> str | None:
    r"""Return a part of a prompt as it is meant: `\n` that a shell hands over is a line's end."""
    return None if text is None else text.replace("\\n", "\n")


def _measured(
    settings: Params, mine: Pin, winner: "Prompt"
) -> list[tuple[str, float, float, float, int]]:
    """Return how the adapted prompt and another one do on the shots that neither shows.

    Returns:
        For each its name, log-probability, mutual information, accuracy, and how many shots.
    """
    from akd.prompts.adapt import material_of
    from akd.prompts.material import read_unlabelled
    from akd.prompts.measure import measure
    from akd.prompts.pin import pinned_prompt
    from akd.teacher.asked import asked
    from akd.teacher.engine import open_engine

    task, shots = _task_and_shots(settings)
    unlabelled = read_unlabelled(Path("data/filtered"), settings.prompt)
    material = material_of(settings.prompt, shots, unlabelled)
    own = pinned_prompt(mine, shots, len(task.labels), settings.prompt.shown_characters)
    label = settings.label
    engine = open_engine(
        label.engine,
        Path("data/models/teacher"),
        text_tokens=label.article_tokens,
        batch_size=label.batch_size,
    )
    teacher = asked(engine, label.article_tokens)
    teacher.check_form(own)
    layers = teacher.layers_of(settings.prompt.calibration)
    found = {
        name: measure(prompt, lambda asked, texts: teacher.score(asked, texts, layers), material)
        for name, prompt in (("adapted", winner), ("yours", own))
    }
    common = sorted(set.intersection(*(set(one.shot_labels) for one in found.values())))
    rows = []
    for name, one in found.items():
        log_probability, accuracy = one.on(common, material.shots)
        rows.append((name, log_probability, one.mutual_information, accuracy, len(common)))
    return rows


def _task_and_shots(settings: Params) -> "tuple[Task, list[Shot]]":
    from akd.prompts.material import read_shots

    file = _task_file(settings)
    task = load_task(file)
    longest = settings.clean.max_characters
    return task, read_shots(file.parent, task, Path("data/clean"), settings.prompt, longest)
