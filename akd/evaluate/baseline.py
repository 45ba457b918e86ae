"""The baseline that a user would try first: TF-IDF and logistic regression on teacher labels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from akd.corpus.relevance.scores import terms


def tfidf_probabilities(
    texts: Sequence[str], labels: Sequence[int], asked: Sequence[str], classes: int
) -> NDArray[np.float64]:
    """Fit on texts with the teacher's labels; return class probabilities of the asked texts.

    Args:
        texts: training texts (n).
        labels: their labels (n), numbers below `classes`.
        asked: texts to classify (m).

    Returns:
        Probabilities (m, classes); a label that the teacher never gave has probability 0.
    """
    found = np.zeros((len(asked), classes))
    if len(set(labels)) == 1:  # nothing to fit: the teacher gave one label to all
        found[:, labels[0]] = 1.0
        return found
    model = make_pipeline(
        TfidfVectorizer(analyzer=lambda text: list(terms(text)), sublinear_tf=True, min_df=2),
        LogisticRegression(C=10.0, max_iter=1000),
    )
    model.fit(list(texts), list(labels))
    found[:, model.classes_] = model.predict_proba(list(asked))
    return found
