"""Relevance scores of the filter ([MENDEL]): domain match, and present or future against past.

A similarity to keywords is no probability. Both steps therefore look at how far an article's
similarity lies from the corpus mean, in standard deviations, and squash that: a score of 0.5 is an
average article of this corpus.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.feature_extraction.text import TfidfVectorizer

Array = NDArray[np.float64]
Similarity = Callable[[Sequence[str], Sequence[Sequence[str]]], Array]
"""From n texts and g groups of phrases to similarities (n, g)."""
Embed = Callable[[Sequence[str]], Array]

_RUN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|\w+")


def terms(text: str) -> Iterator[str]:
    """Yield the words of a text; a run of a script without spaces gives its character bigrams."""
    for run in _RUN.findall(text.casefold()):
        if run[0] >= "\u3040":
            yield from (run[i : i + 2] for i in range(max(1, len(run) - 1)))
        else:
            yield run


def keyword_similarity(texts: Sequence[str], groups: Sequence[Sequence[str]]) -> Array:
    """Return the TF-IDF cosine of each text with each group of keywords (n, g)."""
    vectorizer = TfidfVectorizer(analyzer=lambda text: list(terms(text)), sublinear_tf=True)
    vectors = vectorizer.fit_transform(texts)
    keywords = vectorizer.transform([" ".join(group) for group in groups])
    return np.asarray((vectors @ keywords.T).toarray(), dtype=np.float64)


def embedding_similarity(embed: Embed) -> Similarity:
    """Return a similarity by the cosine of centred embeddings.

    States of a language model share a large common direction; the mean of the texts is taken out
    first. A group is the mean of its phrases.
    """

    def similarity(texts: Sequence[str], groups: Sequence[Sequence[str]]) -> Array:
        vectors = embed(texts)
        center = vectors.mean(axis=0)
        phrases = np.stack([embed(list(group)).mean(axis=0) for group in groups])
        return _unit(vectors - center) @ _unit(phrases - center).T

    return similarity


def domain_scores(
    texts: Sequence[str], domains: Mapping[str, Sequence[str]], similarity: Similarity
) -> Array:
    """Return P(keywords of the nearest domain | text), one for each text (n,)."""
    return np.asarray(expit(_standardised(similarity(texts, list(domains.values())).max(axis=1))))


def signal_scores(
    texts: Sequence[str],
    present: Sequence[str],
    future: Sequence[str],
    past: Sequence[str],
    similarity: Similarity,
) -> Array:
    """Return P(present) + P(future) against P(past) of each text (n,)."""
    deviations = _standardised(similarity(texts, [present, future, past]))
    return np.asarray(1.0 - softmax(deviations, axis=1)[:, 2])


def _standardised(values: Array) -> Array:
    return np.asarray((values - values.mean(axis=0)) / (values.std(axis=0) + 1e-12))


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-12))
