"""Classify articles with the student; look at runs, prompts and plans (in the project's root).

What takes long to import (torch, scikit-learn) is imported by the command that needs it.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from akd import console, params
from akd.cli import prompt, results
from akd.cli.predict import predict
from akd.corpus.relevance.keywords import by_origin, read_keywords
from akd.corpus.relevance.keywords import freeze as freeze_keywords
from akd.errors import InputError
from akd.evaluate.gate import Verdict, judge
from akd.planning.display import notes, tables
from akd.planning.lookup import inventories_of
from akd.planning.plan import Work, as_json, make_plan
from akd.report import page
from akd.specs.engines import teacher_quantization
from akd.task import load_domains, load_task


class DType(StrEnum):
    """What a machine may compute in."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__.partition("\n")[0])

app.add_typer(prompt.app, name="prompt")
app.command("results", epilog="Example: akd results --metrics metrics/evaluate.json")(results.show)
app.command(
    "predict", epilog="Example: akd predict tickets.csv --id number --title subject --text body"
)(predict)


@app.command(epilog="Example: akd report --out report.html")
def report(
    project: Annotated[
        Path, typer.Option(help="The folder with metrics/, data/, dvc.lock and params.yaml.")
    ] = Path("."),
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
) -> None:
    """Write the last run as one HTML page that needs no network: tables, pictures, errors."""
    page.write_report(project, out)
    print(f"report: {out.resolve()}")


@app.command(epilog="Example: akd signals data/signals --verify")
def signals(
    folder: Annotated[Path, typer.Argument(help="What the teacher-label stage wrote.")] = Path(
        "data/signals"
    ),
    verify: Annotated[
        bool, typer.Option("--verify", help="Check hashes, rows, ids and probabilities first.")
    ] = False,
) -> None:
    """Print what a folder of signals holds; with --verify, exit with 1 at the first fault."""
    from akd.teacher.folder import describe
    from akd.teacher.verification import first_fault

    if verify and (fault := first_fault(folder)):
        print(f"error: {fault}: run dvc repro again", file=sys.stderr)
        raise typer.Exit(1)
    table = Table("what", "value", title=f"signals in {folder}", show_header=False)
    for name, value in describe(folder).items():
        rows = value if isinstance(value, dict) else {name.replace("_", " "): value}
        for what, figure in rows.items():
            shown = escape(f"  {what}" if isinstance(value, dict) else what)
            table.add_row(shown, escape(str(figure)))
    Console().print(table)
    if verify:
        print("verified: files, rows, ids and probabilities are as they were written")


@app.command(epilog="Example: akd keywords --freeze data/tasks/crisis/domains.yaml")
def keywords(
    folder: Annotated[Path, typer.Option(help="What the keywords stage wrote.")] = Path(
        "data/keywords"
    ),
    freeze: Annotated[
        Path | None,
        typer.Option(help="A domains.yaml to write the list into; no run expands it again."),
    ] = None,
) -> None:
    """Print the keywords of each domain by origin, and freeze them if asked to."""
    found = read_keywords(folder)
    if freeze is not None:
        _freeze(freeze, found, folder)
    table = Table(title=str(folder))
    for column in ("domain", "origin", "keywords"):
        table.add_column(column)
    for (domain, origin), words in by_origin(folder).items():
        table.add_row(escape(domain), origin, escape(", ".join(words)))
    Console().print(table)


def _freeze(path: Path, found: Mapping[str, Sequence[str]], folder: Path) -> None:
    domains = load_domains(path)
    if found.keys() != domains.keys():
        raise InputError(
            f"{folder} has keywords of {', '.join(found)}, but {path} has the domains "
            f"{', '.join(domains)}: run the stage for this task first (dvc repro keywords)"
        )
    freeze_keywords(path, domains, found)


@app.command(epilog="Example: akd gate origin/main")
def gate(
    base: Annotated[str, typer.Argument(help="A branch, tag, commit or experiment.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    across: Annotated[
        bool, typer.Option("--across", help="Compare figures of another task or pair, too.")
    ] = False,
) -> None:
    """Say whether a figure of the workspace is worse than at BASE, by `gate` of params.yaml.

    Exit codes: 0, none is worse by more than is let through; 1, one is; 2, they cannot be compared,
    and one sentence on stderr says why.
    """
    verdicts = judge(base, params.load().gate, across=across)
    passed = all(verdict.passed for verdict in verdicts)
    if as_json:
        rules = [asdict(verdict) for verdict in verdicts]
        print(json.dumps({"base": base, "passed": passed, "rules": rules}, indent=2))
    else:
        Console().print(_verdicts(base, verdicts))
    if not passed:
        raise typer.Exit(1)


def _verdicts(base: str, verdicts: Sequence[Verdict]) -> Table:
    """Return one row for each rule of the gate."""
    table = Table(title=f"the workspace beside {base}")
    table.add_column("metric", overflow="fold")
    table.add_column("better")
    for column in ("old", "new", "worse by", "allowed", "verdict"):
        table.add_column(column, justify="right")
    for verdict in verdicts:
        figures = (verdict.old, verdict.new, verdict.worse, verdict.allowed)
        table.add_row(
            verdict.metric,
            verdict.better,
            *(f"{figure:.3f}" for figure in figures),
            "passed" if verdict.passed else "[bold red]worse",
        )
    return table


@app.command(epilog="Example: akd plan --pair llama2")
def plan(
    pair: Annotated[
        str | None, typer.Option(help="A pair of params.yaml, else its `pair`.")
    ] = None,
    dtype: Annotated[DType, typer.Option(help="Number format of the machine.")] = DType.bfloat16,
    as_values: Annotated[bool, typer.Option("--json", help="Print bytes as JSON.")] = False,
) -> None:
    """Print what a run needs, before anything is downloaded: memory, disk, trained share."""
    settings = params.load()
    name = pair or settings.pair
    if name not in settings.pairs:
        known = ", ".join(sorted(settings.pairs))
        raise InputError(f"pair {name!r} is not one of {known}: name one, or add it to params.yaml")
    places = Path("data/models"), Path("dvc.lock")
    teacher, student = inventories_of(name, settings.pairs[name], *places)
    made = make_plan(
        name,
        teacher,
        student,
        _work(settings, dtype),
        settings.adapter,
        quantised=settings.quantization.kind == "nf4",
    )
    if as_values:
        print(json.dumps(as_json(made), indent=2))
        return
    screen = Console()
    screen.print(*tables(made), sep="\n\n")
    screen.print(*notes(made), sep="\n", soft_wrap=True)


def _work(settings: params.Params, dtype: DType) -> Work:
    """Return what a run with these parameters asks of its models."""
    engine, calibration = settings.label.engine, settings.prompt.calibration
    read = {*settings.label.states, *(calibration.layers if calibration.reads_states else ())}
    return Work(
        dtype=dtype.value,
        engine=engine.kind,
        articles=settings.filter.max_articles,
        article_tokens=settings.label.article_tokens,
        labels=len(load_task(Path("data/tasks") / settings.task / "task.yaml").labels),
        read_states=len(read),
        kept_states=len(set(settings.label.states)),
        teacher_quantised=teacher_quantization(engine).kind == "nf4",
        teacher_batch=settings.label.batch_size,
        student_batch=settings.optimizer.batch_size,
        student_prompt=settings.distill.student_prompt,
    )


def main() -> None:
    """Run the command line; errors of the user end in one sentence."""
    console.guard(app)
