"""What a search leaves behind: its tree, its tables for plots, its metrics."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from akd.prompts.demonstrations import Shot
from akd.prompts.search import Node


def sensitivity(nodes: Sequence[Node], number: int) -> float | None:
    """Return the spread of scores around a prompt: how much one small change matters ([PA]).

    It is the standard deviation over the prompt and those of its one-step perturbations that were
    scored (its children in the tree), in the unit of the score (nats); None if there are none.
    """
    scores = [n.score for n in nodes if n.parent == number]
    return float(np.std([nodes[number].score, *scores])) if scores else None


def tree_rows(nodes: Sequence[Node]) -> list[dict[str, Any]]:
    """Return the search tree, one row a call, in their order."""
    return [
        {
            **vars(node),
            "sensitivity": sensitivity(nodes, node.number),
            "prompt": node.prompt.model_dump(mode="json"),
        }
        for node in nodes
    ]


def tree_table(nodes: Sequence[Node]) -> pl.DataFrame:
    """Return one row a call with the place of its parent, from which a plot draws the tree."""
    rows = [
        {
            "call": node.number + 1,
            "score": node.score,
            "parent_call": max(node.parent, 0) + 1,
            "parent_score": nodes[max(node.parent, 0)].score,
            "operator": node.operator,
            "accuracy": node.accuracy,
            "sensitivity": sensitivity(nodes, node.number),
        }
        for node in nodes
    ]
    return pl.DataFrame(rows, schema_overrides={"sensitivity": pl.Float64})


def search_curve(nodes: Sequence[Node]) -> pl.DataFrame:
    """Return the score of each call and the best so far, for the plot of the search."""
    scores = pl.Series("score", [node.score for node in nodes])
    calls = pl.Series("call", [node.number + 1 for node in nodes])
    return pl.DataFrame([calls, scores, scores.cum_max().alias("best")])


def confusion(node: Node, shots: Sequence[Shot], labels: Sequence[str]) -> pl.DataFrame:
    """Return actual and predicted label of each shot that the prompt does not show."""
    rows = [(labels[shots[n].label], labels[label]) for n, label in node.shot_labels.items()]
    return pl.DataFrame(rows, schema={"actual": pl.String, "predicted": pl.String}, orient="row")


def measured(node: Node) -> dict[str, float]:
    """Return the figures of a prompt that metrics show."""
    names = ("score", "log_probability", "agreement", "mutual_information", "accuracy")
    return {name: round(float(getattr(node, name)), 6) for name in names}
