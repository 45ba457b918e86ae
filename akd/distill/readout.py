"""Where a student begins: the linear readout that its untrained states allow, in closed form."""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from akd.models.student import Readout

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
