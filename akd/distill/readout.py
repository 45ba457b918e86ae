"""Where a student begins: the linear readout that it allows untrained, in closed form."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import cross_val_predict

from akd.errors import InputError
from akd.models.student import Readout

Floats = NDArray[np.float64]

STRENGTHS = tuple(float(10**power) for power in np.arange(0, 5.5, 0.5))
_FOLDS = 5
_LOGARITHMS = (-5.0, 10.0)  # of the factor


def fit_readout(features: NDArray[np.float32], probabilities: Floats) -> Readout:
    """Return the readout that least squares finds: from features to the teacher's probabilities.

    A ridge regression (Hoerl and Kennard 1970) of the probabilities on standardised features, its
    strength chosen by generalised cross-validation; then one factor makes logits of what it
    predicts, under which left-out articles have the lowest cross-entropy (Guo et al. 2017).
    Between probabilities no error is larger than 1; between their logarithms the largest ones
    would be those of labels that the teacher rules out anyway. Training starts from what the
    states already tell, instead of from the arbitrary logits of an untrained student.

    Args:
        features: of the articles, see `akd.models.student.article_features` (n, features).
        probabilities: of the teacher (n, labels).

    Raises:
        InputError: if there is one article alone, of which none can be left out.
    """
    if len(features) < 2:
        raise InputError(
            "one article teaches no student: add some, or lower the thresholds of `filter`"
        )
    center, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    inputs = (features - center) / spread
    ridge = RidgeCV(alphas=STRENGTHS).fit(inputs, probabilities)
    factor = _factor(inputs, probabilities, ridge.alpha_)
    root = np.sqrt(features.shape[1])
    arrays = (center, spread * root, factor * ridge.coef_ * root, factor * ridge.intercept_)
    return Readout(*(torch.from_numpy(np.asarray(array, np.float32)) for array in arrays))


def _factor(inputs: NDArray[np.float32], probabilities: Floats, strength: float) -> float:
    """Return the factor on predictions, by articles that were left out when they were made."""
    folds = min(_FOLDS, len(inputs))
    predicted = cross_val_predict(Ridge(alpha=strength), inputs, probabilities, cv=folds)

    def cross_entropy(logarithm: float) -> float:
        logits = np.exp(logarithm) * predicted
        return float(-(probabilities * log_softmax(logits, axis=1)).sum(axis=1).mean())

    return float(np.exp(minimize_scalar(cross_entropy, bounds=_LOGARITHMS, method="bounded").x))
