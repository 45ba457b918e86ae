"""The page: sections in their order, set by a template."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from akd.errors import InputError
from akd.io import write_text
from akd.report.blocks import Section
from akd.report.load import Run, load
from akd.report.sections import corpus, mistakes, prompt, provenance, results, training

_SECTIONS: tuple[Callable[[Run], Section | None], ...] = (
    results.headline,
    results.by_group,
    mistakes.confusion,
    mistakes.errors,
    training.loss,
    training.domains,
    prompt.prompt_search,
    corpus.kept,
    provenance.resources,
    provenance.run_record,
)


def write_report(project: Path, out: Path) -> None:
    """Write a project's last run as one HTML file that needs no network and no script.

    Raises:
        InputError: if there are no metrics yet, a file is not as its stage writes it, or `out` is a
            folder.
    """
    if out.is_dir():
        raise InputError(f"{out} is a folder: name the HTML file to write")
    write_text(out, render(load(project)))


def render(run: Run) -> str:
    """Return the page; what the run did not write is left out. Same run, same page."""
    found = [section(run) for section in _SECTIONS]
    templates = Environment(
        loader=PackageLoader("akd.report"),
        autoescape=True,  # titles and texts are of strangers
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("report.html.jinja").render(
        task=run.record.value("task"),
        pair=run.record.value("pair"),
        sections=[section for section in found if section is not None],
    )
