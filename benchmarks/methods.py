"""What is compared: the methods, and the ablations of akd, as changes of params.yaml."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from scipy.special import softmax

from benchmarks.phases import FULL_RATE, PAPER_RATE

CERTAIN = 0.01  # a temperature under which only the most probable label is left

Change = Callable[[dict[str, Any]], None]
"""Changes settings, as plain values, in place."""


def _losses(**weights: float) -> Change:
    def change(settings: dict[str, Any]) -> None:
        for phase in settings["distill"]["phases"].values():
            phase["losses"] = weights

    return change


def _one_phase(settings: dict[str, Any]) -> None:
    """Let the last phase learn alone, for as many documents as all phases see."""
    distill = settings["distill"]
    phases = distill["phases"].values()
    seen = sum(p["epochs"] * (p["articles"][1] - p["articles"][0]) for p in phases)
    epochs = math.ceil(seen)
    shares = {"epochs": epochs, "articles": [0.0, seen / epochs]}
    last = {**distill["phases"][distill["final"]], "init_from": "student", **shares}
    distill["phases"] = {distill["final"]: last}


def _paper_rate(settings: dict[str, Any]) -> None:
    settings["optimizer"]["learning_rate"] = PAPER_RATE


def _plain_targets(settings: dict[str, Any]) -> None:
    settings["distill"]["target_temperature"] = 1.0


def _plain(settings: dict[str, Any]) -> None:
    """Learn the teacher's distribution as it is, of articles as they come, in one phase."""
    _one_phase(settings)
    settings["distill"].update(target_temperature=1.0, own_share=0.0, difficulty="random")
    settings["distill"]["sampling"]["kind"] = "proportional"


def _kd(settings: dict[str, Any]) -> None:
    """Train all weights on the teacher's labels and a divergence from it, half each."""
    _plain(settings)
    _losses(hard_cross_entropy=0.5, kl=0.5)(settings)
    settings["adapter"].update(kind="full", frozen_share=0.0)
    settings["optimizer"]["learning_rate"] = FULL_RATE


def _hard(settings: dict[str, Any]) -> None:
    """Learn the teacher's labels; so does the readout, of all but certain targets."""
    _losses(hard_cross_entropy=1.0)(settings)
    settings["distill"]["target_temperature"] = CERTAIN


def _cpt(settings: dict[str, Any]) -> None:
    _plain(settings)
    _losses(next_token=1.0)(settings)


def _ted(settings: dict[str, Any]) -> None:
    _plain(settings)
    settings["label"]["states"] = [0.53, 0.93]
    settings["adapter"]["frozen_share"] = 0.0  # the lower states are to be moved, too
    _losses(soft_cross_entropy=1.0, ted=1.0)(settings)


def _minillm(settings: dict[str, Any]) -> None:
    _plain(settings)
    _losses(minillm=1.0, next_token=1.0)(settings)


def _in_parts(difficulty: str) -> Change:
    """Let each phase learn the classes of another part of the articles, so that none is left out.

    The difficulty must not depend on the student, which would divide them anew in each phase.
    """

    def change(settings: dict[str, Any]) -> None:
        settings["distill"]["difficulty"] = difficulty
        phases = settings["distill"]["phases"].values()
        for number, phase in enumerate(phases):
            shares = [number / len(phases), (number + 1) / len(phases)]
            phase.update(targets="classes", articles=shares, epochs=2)

    return change


def _distill(**values: Any) -> Change:
    return lambda settings: settings["distill"].update(values)


def _sampling(kind: str) -> Change:
    return lambda settings: settings["distill"]["sampling"].update(kind=kind)


def _nothing(_settings: dict[str, Any]) -> None:
    pass


METHODS: dict[str, Change] = {
    "readout": _nothing,
    "readout_plain": _plain_targets,
    "akd": _nothing,
    "kd": _kd,
    "hard": _hard,
    "cpt": _cpt,
    "ted": _ted,
    "minillm": _minillm,
}
UNTAUGHT = {"readout", "readout_plain"}
"""Those that fit the readout to the student as it is, and train nothing."""
ABLATIONS: dict[str, Change] = {
    "akd": _nothing,  # which the others are compared with
    "random_articles": _distill(difficulty="random"),  # as many, but not the easy ones
    "easy_first": _in_parts("entropy"),  # every article once, in either order
    "random_order": _in_parts("random"),
    "one_phase": _one_phase,
    "paper_rate": _paper_rate,
    "teacher_alone": _distill(own_share=0.0),
    "uniform": _sampling("uniform"),
    "proportional": _sampling("proportional"),
    "hidden": _losses(soft_cross_entropy=1.0, hidden=0.1),
    "same_prompt": _distill(student_prompt="same"),
    "uncalibrated": _nothing,
}


def uncalibrated(lessons: pl.DataFrame) -> pl.DataFrame:
    """Return the lessons with the teacher's probabilities as its prompt alone gives them."""
    said = softmax(np.array(lessons["log_probabilities"].to_list()), axis=1)
    return lessons.with_columns(probabilities=pl.Series(said.tolist()))


LESSONS = {"uncalibrated": uncalibrated}
"""Ablations that change what is learnt, beside no setting."""
