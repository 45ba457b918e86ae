"""Where a student begins: the linear readout that its untrained states allow, in closed form."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from sklearn.linear_model import RidgeCV

from akd.models.batching import batches_by_length, pad_right
from akd.models.student import Readout, mean_states

STRENGTHS = tuple(float(10**power) for power in np.arange(0, 5.5, 0.5))
_SMALLEST = 1e-3  # differences between smaller probabilities are the teacher's noise


def fit_readout(states: NDArray[np.float32], probabilities: NDArray[np.float64]) -> Readout:
    """Return the readout whose logits are nearest to the teacher's log-probabilities.

    A ridge regression (Hoerl and Kennard 1970) on standardised states; its strength is chosen by
    generalised cross-validation. Training starts from what the states already tell, instead of
    from the arbitrary logits of an untrained student.

    Args:
        states: mean states of the student (n, width).
        probabilities: of the teacher (n, labels).
    """
    center, spread = states.mean(axis=0), states.std(axis=0) + 1e-6
    logits = np.log(probabilities.clip(_SMALLEST))
    ridge = RidgeCV(alphas=STRENGTHS).fit(
        (states - center) / spread, logits - logits.mean(axis=1, keepdims=True)
    )
    root = np.sqrt(states.shape[1])
    arrays = (center, spread * root, ridge.coef_ * root, ridge.intercept_)
    return Readout(*(torch.from_numpy(np.asarray(array, np.float32)) for array in arrays))


@torch.inference_mode()
def article_states(
    language_model: PeftModel,
    sequences: Sequence[Sequence[int]],
    *,
    before: int,
    after: int,
    pad_token: int,
    batch_size: int,
) -> NDArray[np.float32]:
    """Return the mean state of each article (n, width)."""
    found: list[NDArray[np.float32] | None] = [None] * len(sequences)
    for rows in batches_by_length(sequences, batch_size):
        tokens, lengths = pad_right([sequences[row] for row in rows], pad_token)
        device = language_model.device
        states = mean_states(language_model, tokens.to(device), lengths.to(device), before, after)
        for row, state in zip(rows, states.cpu().numpy(), strict=True):
            found[row] = state
    return np.stack([state for state in found if state is not None])
