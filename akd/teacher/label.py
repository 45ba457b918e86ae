"""Labelling: from what the teacher says of articles to one table of signals."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy.stats import entropy

from akd.errors import InputError
from akd.prompts.calibration import Calibrator
from akd.records import SIGNAL, Scores


def signals(
    ids: Sequence[str], scores: Scores, calibrator: Calibrator, labels: Sequence[str]
) -> tuple[pl.DataFrame, torch.Tensor]:
    """Return the signals (`records.SIGNAL`) and the decision states (n, width) in fp16.

    Raises:
        InputError: if a state is too large for fp16.
    """
    probabilities = calibrator.probabilities(scores)
    top = np.sort(probabilities, axis=1)[:, ::-1]
    frame = pl.DataFrame(
        {
            "id": list(ids),
            "log_probabilities": scores.log_probabilities.tolist(),
            "other_mass": _other_mass(scores.log_probabilities),
            "probabilities": probabilities.tolist(),
            "entropy": entropy(probabilities, axis=1),
            "margin": top[:, 0] - top[:, 1],
            "label": [labels[index] for index in probabilities.argmax(axis=1)],
        },
        schema=SIGNAL,
    )
    return frame, half(scores.decision)


def of_blocks(scores: Scores, read: Sequence[int], wanted: Sequence[int]) -> Scores:
    """Return scores with the mean states of the wanted blocks alone, of those that were read."""
    return replace(scores, states=scores.states[:, [read.index(block) for block in wanted]])


def half(states: NDArray[np.float32]) -> torch.Tensor:
    """Return hidden states in fp16, as they are stored.

    Raises:
        InputError: if one is too large for it.
    """
    stored = torch.from_numpy(states).to(torch.float16)
    if not torch.isfinite(stored).all():
        raise InputError(
            "the teacher has hidden states that are too large for 16 bits: where `label.states` "
            "names blocks, leave them out, else choose another teacher"
        )
    return stored


def _other_mass(log_probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    inside = np.exp(log_probabilities.astype(np.float64)).sum(axis=1)
    return np.asarray(np.clip(1.0 - inside, 0.0, 1.0))
