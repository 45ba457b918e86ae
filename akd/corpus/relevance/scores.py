"""Relevance scores of the filter ([MENDEL]): domain match, and present or future against past.

Both steps turn logits of groups of phrases into probabilities. What asks a model gives such logits
itself (`models/entailment`, `models/questions`). A similarity to keywords is no probability: it is
first measured by how far an article lies from the mean of reference articles, a sample of the
corpus, in standard deviations, so that a score of 0.5 is an average article of this corpus.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.feature_extraction.text import TfidfVectorizer

Array = NDArray[np.float64]
Groups = Mapping[str, Sequence[str]]
"""Phrases of each of g groups, under the name of the group."""


class GroupLogits(NamedTuple):
    """Log-odds that n texts belong to g groups: to each (n, g), and to the nearest (n,)."""

    each: Array
    nearest: Array


Logits = Callable[[Sequence[str]], GroupLogits]
Similarity = Callable[[Sequence[str]], Array]
"""From n texts to their similarities with g groups (n, g)."""
Embed = Callable[[Sequence[str]], Array]

_RUN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|\w+")


def runs(text: str) -> list[str]:
    """Return the words of a text, and the runs of characters of scripts without spaces."""
    return _RUN.findall(text)


def is_unspaced(run: str) -> bool:
    """Return whether a run is of a script without spaces."""
    return run[0] >= "\u3040"


def terms(text: str) -> Iterator[str]:
    """Yield the words of a text; a run of a script without spaces gives its character bigrams."""
    for run in runs(text.casefold()):
        if is_unspaced(run):
            yield from (run[i : i + 2] for i in range(max(1, len(run) - 1)))
        else:
            yield run


def keyword_similarity(reference: Sequence[str], groups: Groups) -> Similarity:
    """Return the TF-IDF cosine with each group of keywords; `reference` gives the weights."""
    vectorizer = TfidfVectorizer(analyzer=lambda text: list(terms(text)), sublinear_tf=True)
    vectorizer.fit(reference)
    keywords = vectorizer.transform([" ".join(phrases) for phrases in groups.values()])

    def similarity(texts: Sequence[str]) -> Array:
        found = (vectorizer.transform(texts) @ keywords.T).toarray()
        return np.asarray(found, dtype=np.float64)

    return similarity


def embedding_similarity(embed: Embed, reference: Sequence[str], groups: Groups) -> Similarity:
    """Return the cosine of centred embeddings; a group is the mean of its phrases.

    States of a language model share a large common direction; the mean of the reference texts is
    taken out first.
    """
    known = dict(zip(reference, embed(reference), strict=True))
    center = np.mean(list(known.values()), axis=0)
    phrases = np.stack([embed(list(group)).mean(axis=0) for group in groups.values()])
    directions = _unit(phrases - center)

    def similarity(texts: Sequence[str]) -> Array:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        fresh = dict(zip(new, embed(new), strict=True)) if new else {}
        vectors = np.stack([known[text] if text in known else fresh[text] for text in texts])
        return _unit(vectors - center) @ directions.T

    return similarity


def standardised(similarity: Similarity, reference: Sequence[str]) -> Logits:
    """Return logits that are deviations of a similarity from its mean over the reference texts.

    The similarity with the nearest group is measured against such similarities: the largest of
    many deviations would be large for any text.
    """
    each = similarity(reference)
    nearest = each.max(axis=1)

    def logits(texts: Sequence[str]) -> GroupLogits:
        found = similarity(texts)
        return GroupLogits(_deviations(found, each), _deviations(found.max(axis=1), nearest))

    return logits


def absolute(each: Array) -> GroupLogits:
    """Return the logits of a model that says for each group how likely it is (n, groups)."""
    return GroupLogits(each, each.max(axis=1))


def domain_scores(logits: GroupLogits, named: Sequence[str], domains: Sequence[str]) -> Array:
    """Return P(keywords of its domain | text) of each text (n,).

    Args:
        logits: of each text for the domains.
        named: the domain that each article came with (n). Where it is none of `domains`, the
            article is held against the nearest one.
        domains: their names.
    """
    column = {name: number for number, name in enumerate(domains)}
    chosen = [
        logits.each[row, column[name]] if name in column else logits.nearest[row]
        for row, name in enumerate(named)
    ]
    return np.asarray(expit(np.array(chosen)))


def signal_scores(logits: GroupLogits, tenses: Sequence[str]) -> Array:
    """Return P(present) + P(future) against P(past) of each text (n,).

    Args:
        logits: of each text for the tenses.
        tenses: their names, `past` among them.
    """
    return np.asarray(1.0 - softmax(logits.each, axis=1)[:, list(tenses).index("past")])


def _deviations(values: Array, reference: Array) -> Array:
    spread = reference.std(axis=0) + 1e-12
    return np.asarray((values - reference.mean(axis=0)) / spread)


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-12))
