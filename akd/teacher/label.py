"""Labelling: from what the teacher says of articles to one table of signals."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy.stats import entropy

from akd.prompts.calibration import Calibrator
from akd.records import SIGNAL, Scores


def signals(
    ids: Sequence[str], scores: Scores, calibrator: Calibrator, labels: Sequence[str]
) -> tuple[pl.DataFrame, torch.Tensor]:
    """Return the signals (`records.SIGNAL`) and the decision states (n, width) in fp16."""
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
    return frame, torch.from_numpy(scores.decision).to(torch.float16)


def _other_mass(log_probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    inside = np.exp(log_probabilities.astype(np.float64)).sum(axis=1)
    return np.asarray(np.clip(1.0 - inside, 0.0, 1.0))
