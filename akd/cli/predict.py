"""`akd predict`: what the student of the last run says of articles in files."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from akd import params
from akd.console import say
from akd.corpus.admission import admit
from akd.corpus.cleaning.text import article_text, clean_text
from akd.corpus.sources import files
from akd.corpus.sources.row import Row
from akd.errors import InputError
from akd.io import write_json_lines
from akd.params import Params
from akd.specs.distillation import DistillParams
from akd.specs.sources import Column, FilesSource
from akd.task import Label, Task, load_task

if TYPE_CHECKING:
    from akd.evaluate.predict import Student  # torch and all that stands on it
    from akd.evaluate.reasons import ReasonWriter

_SHOWN = 10  # rows that are no articles
_TOLD = ("id", "title", "label", "confidence", "severity", "severity_score")


def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES...", help="CSV, JSON lines (plain or .gz, .bz2, .xz) or Parquet."
        ),
    ],
    text: Annotated[str, typer.Option(help="The column of the text.")] = "text",
    title: Annotated[str, typer.Option(help="The column of the title, if there is one.")] = "",
    id_: Annotated[str, typer.Option("--id", help="The column of the id; else a hash.")] = "",
    student: Annotated[Path, typer.Option(help="The model that was taught.")] = Path(
        "data/models/student"
    ),
    adapter: Annotated[
        Path | None, typer.Option(help="What it has learnt; else that of the final phase.")
    ] = None,
    reasons: Annotated[
        bool, typer.Option("--reasons", help="Also why, if it has learnt the loss `rationale`.")
    ] = False,
    out: Annotated[Path, typer.Option(help="The JSON lines to write.")] = Path("predictions.jsonl"),
) -> None:
    """Write what the student says of each article: label, confidence, severity, probabilities.

    Articles are cleaned as those were that it learnt from, and answered in their order. Rows that
    are no articles are counted, and the first of them told on stderr. With --reasons each answer
    has a `reason`, which is null where the student wrote none.
    """
    _check_place(out, paths)
    settings = params.load()
    task = load_task(Path("data/tasks") / settings.task / "task.yaml")
    if reasons and adapter is None:
        _check_reasons_were_taught(settings.distill)
    wanted: dict[Column, str] = {"id": id_, "title": title, "text": text}
    columns = {field: column for field, column in wanted.items() if column}
    articles, broken = _read(paths, columns, settings.clean.max_characters)
    for told in broken[:_SHOWN]:
        say(f"left out: {told}")
    if not articles:
        raise InputError(f"none of {len(broken)} rows is an article: correct --text, or the files")
    folder = adapter or Path("data/adapters") / settings.distill.final
    taught = _load(student, folder, task, settings)
    writer = _writer(taught, task, settings) if reasons else None
    answers = _answers(taught, articles, task.labels, settings.label.batch_size)
    if writer is not None:
        numbers = [task.label_names.index(answer["label"]) for answer in answers]
        written = writer.write([article["text"] for article in articles], numbers)
        pairs = zip(answers, written, strict=True)
        answers = [{**answer, "reason": reason} for answer, reason in pairs]
    write_json_lines(out, answers)
    print(f"{len(articles) + len(broken)} rows: {len(articles)} in {out}, {len(broken)} left out")


def _check_place(out: Path, paths: Sequence[Path]) -> None:
    if out.is_dir():
        raise InputError(f"{out} is a folder: name the file to write (`--out answers.jsonl`)")
    if out.resolve() in {path.resolve() for path in paths}:
        raise InputError(f"{out} is one of the files to read: name another one to write (`--out`)")


def _read(
    paths: Sequence[Path], columns: dict[Column, str], max_characters: int
) -> tuple[list[Row], list[str]]:
    """Return the articles of the files, cleaned, and why there are none of the other rows."""
    articles, broken = [], []
    for path in paths:
        source = FilesSource(
            kind="files",
            name="--id, --title, --text",
            paths=[glob.escape(path.name)],
            columns=columns,
            domain="none",
        )
        for number, row in enumerate(files.read(source, path.parent), start=1):
            found = admit(row, date_format="")
            cleaned = article_text(found["title"], found["text"], max_characters)
            if cleaned and not found["reason"]:
                articles.append({**found, "title": clean_text(found["title"]), "text": cleaned})
            else:
                why = found["detail"] or "no text is left after cleaning"
                broken.append(f"{path}, row {number}: {why}")
    return articles, broken


def _check_reasons_were_taught(distill: DistillParams) -> None:
    name, taught = distill.final, False
    while name in distill.phases:
        taught |= "rationale" in distill.phases[name].losses
        name = distill.phases[name].init_from
    if not taught:
        raise InputError(
            f"no phase up to {distill.final} teaches reasons: give one the loss `rationale` "
            "(docs/teachers.md), or leave out --reasons"
        )


def _load(folder: Path, adapter: Path, task: Task, settings: Params) -> "Student":
    """Load the student.

    Raises:
        InputError: if its folder holds no model, or it has learnt other labels than those of the
            task.
    """
    from akd.evaluate.predict import load_student
    from akd.prompts.reading import load_reading

    names, learnt = task.label_names, load_reading(adapter).labels
    if list(learnt) != names:
        raise InputError(
            f"{adapter} has learnt {', '.join(learnt)}, but the task "
            f"{settings.task} has {', '.join(names)}: name its task in params.yaml"
        )
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} holds no model: name the folder of one (`--student`)")
    return load_student(folder, adapter, settings.quantization)


def _answers(
    student: "Student", articles: Sequence[Row], labels: Sequence[Label], batch_size: int
) -> list[dict[str, Any]]:
    """Return the answer to each article."""
    from akd.evaluate.alerts import answers
    from akd.evaluate.predict import student_probabilities

    found = student_probabilities(student, [article["text"] for article in articles], batch_size)
    told = answers(({**article, "language": ""} for article in articles), found, labels)
    rows = []
    for answer, shares in zip(told, found.tolist(), strict=True):
        each = {label.name: round(share, 6) for label, share in zip(labels, shares, strict=True)}
        rows.append({**{name: answer[name] for name in _TOLD}, "probabilities": each})
    return rows


def _writer(student: "Student", task: Task, settings: Params) -> "ReasonWriter":
    from akd.evaluate.reasons import ReasonWriter

    tokens, batch_size = settings.label.rationales.tokens, settings.label.batch_size
    return ReasonWriter(student, task.reason_cue, new_tokens=tokens, batch_size=batch_size)
