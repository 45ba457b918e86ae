"""The baseline that a user would try first: TF-IDF and logistic regression on teacher labels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

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
        Probabilities (m, classes); a label that the teacher never gave has probability 0. Where
        there is nothing to fit, the labels' shares: one label for all, or no word in two texts.
    """
    vectorizer = TfidfVectorizer(
        analyzer=lambda text: list(terms(text)), sublinear_tf=True, min_df=2
    )
    try:
        vectors = vectorizer.fit_transform(list(texts))
    except ValueError:  # no word is left
        vectors = None
    if vectors is None or len(set(labels)) == 1:
        return np.tile(np.bincount(labels, minlength=classes) / len(labels), (len(asked), 1))
    model = LogisticRegression(C=10.0, max_iter=1000).fit(vectors, list(labels))
    found = np.zeros((len(asked), classes))
    found[:, model.classes_] = model.predict_proba(vectorizer.transform(list(asked)))
    return found
