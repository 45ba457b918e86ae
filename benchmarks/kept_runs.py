"""Runs of methods that are kept in a result file: what decided them, and what they got right."""

from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl

from akd.distill.lessons import Lessons
from akd.evaluate.metrics import Floats
from akd.io import fingerprint
from akd.models.load import compute_dtype
from akd.params import Params
from benchmarks.clone import commit
from benchmarks.repeated import over_runs_and_articles

SEEDLESS = ("teacher", "tfidf")
REGIMES = {
    ("bbc-topics", "auto", True): "topics",
    ("bbc-topics", "batch", False): "topics_zero_shot",
}
DECIDES = {"seed", "pairs", "pair", "adapter", "quantization", "optimizer", "distill"}
"""Sections of params.yaml that decide what a student learns from its lessons."""


def part_of(result: dict[str, Any], settings: Params, gold: pl.DataFrame) -> dict[str, Any]:
    """Return the result's part of this regime; an empty one if that was of other gold."""
    asked_with = settings.prompt.calibration.kind, settings.prompt.shots > 0
    regime = REGIMES.get((settings.task, *asked_with), settings.task)
    same = {
        "task": settings.task,
        "n": gold.height,
        "gold": fingerprint({"gold": gold.select("id", "label", "text").write_json()}),
    }
    if any(result.get(regime, {}).get(key) != value for key, value in same.items()):
        result[regime] = same
    found: dict[str, Any] = result[regime]
    return found


def methods(part: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the methods of a part, with their figures."""
    return {name: of for name, of in part.items() if isinstance(of, dict) and "right" in of}


def decided(settings: Params, lessons: Lessons, gold: pl.DataFrame) -> dict[str, Any]:
    """Return what tells whether runs of a method are of the same: code, lessons, parameters."""
    seen = ("id", "text", "domain", "language", "log_probabilities", "probabilities")
    return {
        "commit": commit(),
        "articles": lessons.table.height,
        "fingerprint": fingerprint(
            {
                "gold": gold.select("id", "label", "text").write_json(),
                "lessons": lessons.table.select(seen).write_json(),
                "parameters": settings.model_dump(mode="json", include=DECIDES),
                "tokens": settings.label.article_tokens,
                "dtype": str(compute_dtype()),
                "libraries": {name: version(name) for name in ("torch", "transformers", "peft")},
            }
        ),
    }


def packed(right: Floats) -> list[str]:
    """Return what runs got right (runs, n) as text."""
    return [np.packbits(run.astype(bool)).tobytes().hex() for run in right]


def unpacked(runs: list[str], count: int) -> Floats:
    """Return what runs got right (runs, count)."""
    bits = [np.unpackbits(np.frombuffer(bytes.fromhex(run), np.uint8))[:count] for run in runs]
    return np.stack(bits).astype(float)


def differences(right: dict[str, Floats], one: str, settings: Params) -> dict[str, Any]:
    """Return how much more often one is right than each other; nothing before it has run.

    Runs of one seed are compared with each other, the first ones of both where one has more;
    teacher and TF-IDF have no seed.
    """
    found = {}
    for other in sorted(right.keys() - {one}) if one in right else ():
        mine, others = right[one], right[other]
        if other not in SEEDLESS:
            runs = min(len(mine), len(others))
            mine, others = mine[:runs], others[:runs]
        found[other] = over_runs_and_articles(mine - others, settings)
    return found
