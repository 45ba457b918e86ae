"""The schema of every table that one stage hands to the next, and what a model says of texts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

_Columns = dict[str, pl.DataType | type[pl.DataType]]

_ARTICLE: _Columns = {
    "id": pl.String,  # the user's own, or a hash of source, title and text as fetched
    "source": pl.String,
    "domain": pl.String,
    "language_hint": pl.String,  # what the source says; empty where it says nothing
    "title": pl.String,
    "text": pl.String,
    "published": pl.String,  # ISO 8601; empty where the source does not know
}
ARTICLE = pl.Schema(_ARTICLE)
"""One article as fetched. Missing text is the empty string, never null."""

_CLEAN: _Columns = {
    **_ARTICLE,
    "language": pl.String,
    "language_probability": pl.Float64,
    "language_backend": pl.String,  # langdetect or fasttext
}
CLEAN = pl.Schema(_CLEAN)
"""One article after cleaning: `text` is title and lead, `language` is ISO 639-1 or `und`."""

REJECTED = pl.Schema({**_ARTICLE, "reason": pl.String, "detail": pl.String})
"""One row that a stage dropped, as that stage met it, and why."""

KEYWORD = pl.Schema(
    {
        "domain": pl.String,
        "keyword": pl.String,
        "origin": pl.String,  # task, mined or teacher
        "score": pl.Float64,  # of what was mined; 1 for the task's own, 0 for the teacher's
    }
)
"""One keyword of a domain and where it comes from."""

_RELEVANCE: _Columns = {"domain_score": pl.Float64, "signal_score": pl.Float64}
RELEVANCE = pl.Schema({"id": pl.String, **_RELEVANCE})
"""How relevant an article is: P(its domain's keywords | text), P(present or future | text)."""

FILTERED = pl.Schema({**_CLEAN, **_RELEVANCE})
"""One relevant article."""

_SIGNAL: _Columns = {
    "id": pl.String,
    "log_probabilities": pl.List(pl.Float32),  # of each label, over all that could be said
    "other_mass": pl.Float64,  # probability of everything that is no label
    "probabilities": pl.List(pl.Float64),  # calibrated
    "entropy": pl.Float64,  # of the calibrated probabilities, in nats
    "margin": pl.Float64,  # between the two most probable labels
    "label": pl.String,
}
SIGNAL = pl.Schema(_SIGNAL)
"""What the teacher says of one article; row i belongs to row i of the stored hidden states."""

_RATIONALE: _Columns = {
    "id": pl.String,
    "text": pl.String,  # one sentence
    "tokens": pl.List(pl.Int32),  # of the teacher's tokenizer, each the most probable one
    "top_tokens": pl.List(pl.List(pl.Int32)),  # for each token the alternatives, itself first
    "top_log_probabilities": pl.List(pl.List(pl.Float32)),  # over the vocabulary, in nats
    "tail_mass": pl.List(pl.Float32),  # for each token the probability of all that are not top
}
RATIONALE = pl.Schema(_RATIONALE)
"""Why an article has its label, in the teacher's words; there are some of the articles alone."""

_PREDICTION: _Columns = {
    "id": pl.String,
    "gold": pl.String,
    "model": pl.String,  # teacher, student_base, student or tfidf
    "label": pl.String,
    "confidence": pl.Float64,
    "probabilities": pl.List(pl.Float64),
}
PREDICTION = pl.Schema(_PREDICTION)
"""What one model says of one gold article."""


@dataclass(frozen=True)
class Scores:
    """What a language model says of n texts, in their order, all float32.

    Attributes:
        log_probabilities: of each label, over all that could be said (n, labels).
        decision: hidden state at the decision position, after the final norm (n, width).
        states: mean over the article's tokens after chosen blocks (n, blocks, width).
    """

    log_probabilities: NDArray[np.float32]
    decision: NDArray[np.float32]
    states: NDArray[np.float32]

    @classmethod
    def concatenate(cls, parts: Sequence["Scores"]) -> "Scores":
        """Return the scores of several lists of texts, one after the other."""
        return cls(
            np.concatenate([part.log_probabilities for part in parts]),
            np.concatenate([part.decision for part in parts]),
            np.concatenate([part.states for part in parts]),
        )


@dataclass(frozen=True)
class Written:
    """What a language model writes after n texts, at most t tokens; zeros beyond the end.

    Attributes:
        top_tokens: the k most probable tokens at each place (n, t, k) int32; the first is written.
        top_log_probabilities: theirs, in nats (n, t, k) float32.
        tail_mass: probability of all other tokens (n, t) float32.
        lengths: how many tokens were written (n,) int32.
        ended: whether that is all, or the room was full (n,) bool.
    """

    top_tokens: NDArray[np.int32]
    top_log_probabilities: NDArray[np.float32]
    tail_mass: NDArray[np.float32]
    lengths: NDArray[np.int32]
    ended: NDArray[np.bool_]

    @classmethod
    def blank(cls, texts: int, tokens: int, top: int) -> "Written":
        """Return what is there before anything is written."""
        return cls(
            np.zeros((texts, tokens, top), np.int32),
            np.zeros((texts, tokens, top), np.float32),
            np.zeros((texts, tokens), np.float32),
            np.zeros(texts, np.int32),
            np.zeros(texts, np.bool_),
        )
