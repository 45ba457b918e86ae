"""Adapt: from the seeds of a task to the prompt and calibration that suit this teacher."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import polars as pl

from akd.errors import InputError
from akd.models.architecture import depth_to_layer
from akd.prompts import calibration as calibrations
from akd.prompts.search import Node, Shot, demonstrate, neighbours, search, seed_prompt, winner
from akd.prompts.store import AdaptedPrompt
from akd.prompts.template import Prompt
from akd.records import Scores
from akd.specs.prompts import Calibration
from akd.task import PromptSeeds, Task

ScorePrompt = Callable[[Prompt, Sequence[str], Sequence[int]], Scores]
"""From a prompt, texts and block numbers to scores with the states of those blocks."""

PROBING = ("shots_probe", "auto")
"""The calibrations that read hidden states."""

DEMONSTRATION_CHARACTERS = 240  # enough for a headline and what happened


def adapt(
    task: Task,
    score: ScorePrompt,
    *,
    shots: Sequence[Shot],
    unlabelled: Sequence[str],
    search_articles: int,
    mutual_information_weight: float,
    budget: int,
    beam: int,
    calibration: Calibration,
    teacher_layers: int,
    tells_apart: Callable[[Sequence[str]], bool],
    chats: Sequence[bool],
    seed: int,
) -> tuple[AdaptedPrompt, list[Node]]:
    """Search a prompt on shots and unlabelled articles, then fit its calibration on both.

    Args:
        task: labels and seeds.
        score: the teacher.
        shots: may be empty: then mutual information alone chooses (zero-shot).
        unlabelled: texts for calibration; the first `search_articles` score the candidates.
        teacher_layers: how many blocks the teacher has.
        tells_apart: whether the teacher can tell label words apart; others are left out.
        chats: the forms of prompt that the teacher takes, the first one to begin with.

    Raises:
        InputError: if the calibration needs shots and there are none, or no label words fit.
    """
    if calibration.kind in PROBING and not shots:
        raise InputError(
            f"calibration {calibration.kind!r} needs shots, and there are none: annotate some in "
            "shots.jsonl, or choose `prompt.calibration.kind: batch`"
        )
    labels, seeds = len(task.labels), _fitting(task.prompt, tells_apart)
    nodes = search(
        seed_prompt(seeds, labels, chats[0]),
        partial(
            neighbours,
            seeds=seeds,
            demonstrations=demonstrate(shots, labels, DEMONSTRATION_CHARACTERS),
            chats=chats,
        ),
        lambda prompt, texts: score(prompt, texts, []),
        shots=shots,
        unlabelled=unlabelled[:search_articles],
        calibrated=calibration.kind != "none",
        mutual_information_weight=mutual_information_weight,
        budget=budget,
        beam=beam,
        random_seed=seed,
    )
    prompt = winner(nodes).prompt
    layers = _layers(calibration, teacher_layers)
    calibrator = calibrations.fit(
        calibration,
        score(prompt, unlabelled, layers),
        score(prompt, [shot.text for shot in shots], layers),
        [shot.label for shot in shots],
    )
    return AdaptedPrompt(prompt, calibrator, layers, task.label_names), nodes


def _fitting(seeds: PromptSeeds, tells_apart: Callable[[Sequence[str]], bool]) -> PromptSeeds:
    """Return the seeds without the label words that the teacher cannot tell apart."""
    fitting = [words for words in seeds.verbalizers if tells_apart(words)]
    if not fitting:
        raise InputError(
            "each list of label words has two that the teacher cannot tell apart, since their "
            "tokens begin alike: add other `verbalizers` to task.yaml"
        )
    return seeds.model_copy(update={"verbalizers": fitting})


def _layers(calibration: Calibration, teacher_layers: int) -> list[int]:
    if calibration.kind not in PROBING:
        return []
    return sorted({depth_to_layer(depth, teacher_layers) for depth in calibration.layers})


def summary(adapted: AdaptedPrompt, nodes: Sequence[Node]) -> dict[str, Any]:
    """Return the metrics of the search: seed and winner side by side, and what calibrates it."""
    best = winner(nodes)
    measured = ("score", "log_probability", "mutual_information", "accuracy")
    return {
        "prompts_scored": len(nodes),
        "seed": {name: round(getattr(nodes[0], name), 6) for name in measured},
        "winner": {name: round(getattr(best, name), 6) for name in measured},
        "prompt_weight": round(adapted.calibrator.prompt_weight, 6),
        "probe_weight": round(sum(probe.weight for probe in adapted.calibrator.probes), 6),
    }


def search_curve(nodes: Sequence[Node]) -> pl.DataFrame:
    """Return the score of each call and the best so far, for the plot of the search."""
    scores = pl.Series("score", [node.score for node in nodes])
    calls = pl.Series("call", [node.number + 1 for node in nodes])
    return pl.DataFrame([calls, scores, scores.cum_max().alias("best")])


def tree_rows(nodes: Sequence[Node]) -> list[dict[str, Any]]:
    """Return the search tree, one row a call, in their order."""
    return [{**vars(node), "prompt": node.prompt.model_dump(mode="json")} for node in nodes]
