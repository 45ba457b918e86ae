"""The last run on one screen: every model, the student beside its teacher, and by group."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from akd.errors import InputError
from akd.io import read_json
from akd.report.words import named

_MODELS = ("teacher", "student_base", "student", "tfidf")
_COLUMNS = ("macro_f1", "sensitivity", "specificity")
_GROUPED = ("teacher", "student", "tfidf", "agreement")
_SHOWN = 10
"""Groups of one kind, the largest; the report has all of them."""


def show(
    metrics: Annotated[Path, typer.Option(help="What the evaluate stage wrote.")] = Path(
        "metrics/evaluate.json"
    ),
    pictures: Annotated[Path, typer.Option(help="What `dvc plots show` wrote.")] = Path(
        "dvc_plots/index.html"
    ),
) -> None:
    """Print the tables of the last run and say where its pictures are."""
    report = read_json(metrics)
    if not isinstance(report, dict) or not {"task", "gap", *_MODELS} <= report.keys():
        raise InputError(f"{metrics} is not of the evaluate stage: name what that wrote")
    screen = Console()
    screen.print(_headline(report))
    kinds = [kind for kind in ("domain", "language") if len(report.get(f"by_{kind}", {})) > 1]
    if kinds:
        screen.print(_groups(report, kinds))
    where = pictures.resolve() if pictures.is_file() else "run `dvc plots show` to make them"
    screen.print(*_comparisons(report), f"pictures: {where}", sep="\n", soft_wrap=True)


def _headline(report: Mapping[str, Any]) -> Table:
    """Return the four models with the interval of their accuracy."""
    title = f"task {report['task']}, pair {report['pair']}, {report['n']} gold articles"
    table = Table(title=title)
    table.add_column("model")
    table.add_column(escape("accuracy [interval]"), justify="right")
    for column in _COLUMNS:
        table.add_column(named(column), justify="right")
    for name in _MODELS:
        row = report[name]
        low, high = (row["interval"]["accuracy"][end] for end in ("low", "high"))
        accuracy = f"{row['accuracy']:.3f} [{low:.3f}, {high:.3f}]"
        table.add_row(named(name), accuracy, *(f"{row[column]:.3f}" for column in _COLUMNS))
    return table


def _groups(report: Mapping[str, Any], kinds: list[str]) -> Table:
    """Return accuracies and agreement with the teacher by group, the largest group first."""
    table = Table(title="accuracy by group, and the student's agreement with its teacher")
    table.add_column("group")
    for column in ("n", *map(named, _GROUPED)):
        table.add_column(column, justify="right")
    for kind in kinds:
        table.add_section()
        groups = sorted(report[f"by_{kind}"].items(), key=lambda item: (-item[1]["n"], item[0]))
        for name, row in groups[:_SHOWN]:
            figures = (f"{row[column]:.3f}" for column in _GROUPED)
            table.add_row(f"{kind} {escape(name)}", str(row["n"]), *figures)
        if len(groups) > _SHOWN:
            table.add_row(f"{len(groups) - _SHOWN} more: akd report")
    return table


def _comparisons(report: Mapping[str, Any]) -> Iterator[str]:
    """Return the gaps with their intervals, how student and teacher differ, and calibration."""
    for name, gap in report["gap"].items():
        interval = f"[{gap['low']:+.3f}, {gap['high']:+.3f}]"
        yield f"{named(name)}: {gap['accuracy']:+.3f} accuracy {interval}"
    beside = report["against_teacher"]["student"]
    test = beside["mcnemar"]
    yield (
        f"student and teacher agree on {beside['agreement']:.3f} of the articles "
        f"(kappa {beside['kappa']:.3f})"
    )
    yield (
        f"McNemar: the teacher alone is right on {test['b']}, the student alone on {test['c']}, "
        f"p = {test['p']:.3g}"
    )
    errors = (
        f"{name} {report[name]['ece']:.3f}, {report[name]['ece_scaled']:.3f}"
        for name in ("teacher", "student")
    )
    yield f"ECE before and after a temperature: {'; '.join(errors)}"
