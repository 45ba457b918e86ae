"""How the teacher's prompt was found."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from akd.report import words
from akd.report.blocks import Figure, Heading, Section, Table
from akd.report.charts import lines, svg, tree
from akd.report.load import Run

_SHOWN = 40
"""Prompts in the picture of a larger search; its table has all."""


def prompt_search(run: Run) -> Section | None:
    """Return the tree of prompts, the score after each call, and the chosen prompt."""
    if not run.tree and run.calls is None:
        return None
    figures = []
    chosen = next((n["number"] for n in run.tree if n["prompt"] == run.prompt), None)
    if run.tree:
        figures.append(_tree(run.tree, chosen))
    if run.calls is not None:
        figures.append(_calls(run.calls))
    folded = (_parts(run.prompt),) if run.prompt else ()
    lead = f"{len(run.tree)} prompts were scored." if run.tree else ""
    if chosen is not None:
        lead += f" The search ended with number {chosen}, which is bold in the tree."
    return Section("prompt", "Prompt search", lead, figures=tuple(figures), folded=folded)


def _tree(nodes: list[dict[str, Any]], chosen: int | None) -> Figure:
    heading = Heading(
        "tree",
        "Tree of prompts",
        "Each prompt is below the one that it was made of, with its score to the right; the "
        "table holds parent, operator and score of each.",
    )
    found = [tree.Node(n["number"], n["parent"], n["operator"], n["score"]) for n in nodes]
    columns = ("score", "log_probability", "agreement", "mutual_information", "accuracy")
    body = tuple(
        (
            str(node["number"]),
            "" if node["parent"] < 0 else str(node["parent"]),
            node["operator"],
            *(words.value(node[column]) if column in node else "" for column in columns),
            _wording(node["prompt"]),
        )
        for node in nodes
    )
    names = ("number", "parent", "operator", *map(words.named, columns), "prompt")
    picture = tree.search_tree(heading, found, chosen, _SHOWN)
    return Figure(heading, svg.markup(picture), Table("Scored prompts", names, body))


def _calls(calls: pl.DataFrame) -> Figure:
    heading = Heading(
        "calls",
        "Score after each call",
        "A mark for the score of each prompt and a line of the best so far, in their order.",
    )
    steps, scores, best = (calls[column].to_list() for column in ("call", "score", "best"))
    line = lines.Curve("best so far", list(zip(steps, best, strict=True)))
    marked = lines.Curve("each prompt", list(zip(steps, scores, strict=True)))
    picture = lines.curve(heading, line, marked, "call", "score")
    body = tuple((str(int(c)), words.decimal(s), words.decimal(b)) for c, s, b in calls.iter_rows())
    return Figure(heading, svg.markup(picture), Table(heading.title, tuple(calls.columns), body))


def _wording(prompt: Mapping[str, Any]) -> str:
    """Return a prompt in one line: instruction, article, cue, label words."""
    parts = (prompt.get(name, "") for name in ("system", "instruction"))
    start = " ".join(part for part in parts if part)
    cue = f"{prompt.get('article', '')}…{prompt.get('cue', '')}".replace("\n", " ↵ ")
    answers = " | ".join(prompt.get("words", ()))
    return f"{start} {cue} → {answers}".strip()


def _parts(prompt: Mapping[str, Any]) -> Table:
    body = tuple((words.named(name), words.value(part)) for name, part in prompt.items())
    return Table("The chosen prompt", ("part", "value"), body)
