"""What an OpenAI-compatible server answers: alternatives for one token, and labels among them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, AliasPath, BaseModel, Field, PositiveInt, ValidationError
from scipy.special import logsumexp

from akd.errors import InputError

_SMALLEST_REST = float(np.finfo(np.float32).eps)  # a float32 sum of probabilities tells no less
_LEAST = -100.0  # nats; some servers say -9999, of which no mean over articles has a logarithm
_SHORTEST_BEGINNING = 3  # bytes: " a" is a word of its own far oftener than it begins "advice"
_ROUNDING = 1e-3  # by which a server's probabilities may add up to more than one

Alternatives = Sequence[tuple[str, float]]
"""Text and log-probability (in nats) of the most probable next tokens."""


_LogProbability = Annotated[float, Field(le=_ROUNDING, allow_inf_nan=False)]


class _Alternative(BaseModel):
    token: str
    logprob: _LogProbability


_Tokens = Annotated[PositiveInt, Field(validation_alias=AliasPath("usage", "prompt_tokens"))]


class _Body(BaseModel):
    """The parts of a completion or a chat completion that are read.

    Completions map text to log-probability, chat completions list objects; llama.cpp's own server
    lists objects in both.
    """

    top: dict[str, _LogProbability] | list[_Alternative] = Field(
        validation_alias=AliasChoices(
            AliasPath("choices", 0, "logprobs", "top_logprobs", 0),
            AliasPath("choices", 0, "logprobs", "content", 0, "top_logprobs"),
        ),
        min_length=1,
    )
    prompt_tokens: _Tokens


class _Bill(BaseModel):
    prompt_tokens: _Tokens


def billed_tokens(body: bytes) -> int:
    """Return how many tokens of a prompt an answer bills, whatever else it says; 0 if none."""
    try:
        return _Bill.model_validate_json(body).prompt_tokens
    except ValidationError:
        return 0  # `read_answer` complains of it


class NoAnswerError(InputError):
    """One text has no answer, where others may have one."""


def read_answer(body: bytes, server: str) -> Alternatives:
    """Read the JSON of a completion or a chat completion (OpenAI's API reference).

    Args:
        body: as the server sent it.
        server: how an error names the server.

    Raises:
        NoAnswerError: if it has log-probabilities, but of no token: the model said nothing.
        InputError: if it is cut off or no JSON, holds no log-probabilities for a first token or
            some that add up to more than 1, or does not say how many tokens the prompt had.
    """
    try:
        read = _Body.model_validate_json(body)
    except ValidationError as error:
        if _says_nothing(body):
            raise NoAnswerError("an answer with log-probabilities of no token") from None
        raise InputError(f"{server} {_complaint(error)}") from None
    if isinstance(read.top, dict):
        top = list(read.top.items())
    else:
        top = [(entry.token, entry.logprob) for entry in read.top]
    if _mass(top) > 1.0 + _ROUNDING:
        raise InputError(
            f"{server} gives probabilities that add up to more than 1: use a server that returns "
            "log-probabilities over the whole vocabulary"
        )
    return top


class _Silent(BaseModel):
    log_probabilities: dict[str, Any] = Field(
        validation_alias=AliasPath("choices", 0, "logprobs"), min_length=1
    )


def _says_nothing(body: bytes) -> bool:
    """Return whether an answer has a place for log-probabilities, and no token in it."""
    try:
        kept = _Silent.model_validate_json(body).log_probabilities
    except ValidationError:
        return False
    if "content" in kept:
        return not kept["content"]
    return kept.get("tokens") == [] or kept.get("top_logprobs") in ([], [None])


def _complaint(error: ValidationError) -> str:
    problem = error.errors()[0]
    if problem["type"] == "json_invalid":
        return "answers with JSON that is cut off or broken: look at its log and run again"
    if problem["loc"][:1] == ("usage",):
        return "does not say how many tokens a prompt had: use a server that reports its usage"
    return (
        "answers without log-probabilities of a first token: use a server that returns them, or "
        "start it so that it does (llama.cpp: --logits_all true)"
    )


@dataclass(frozen=True)
class LabelScores:
    """What the alternatives for a token say of the labels.

    Attributes:
        log_probabilities: of each label (labels,), in nats.
        missing: how many labels have no token among them, so that theirs is an upper bound.
        missing_mass: probability of all other tokens.
    """

    log_probabilities: NDArray[np.float64]
    missing: int
    missing_mass: float


def label_scores(top: Alternatives, words: Sequence[str]) -> LabelScores:
    """Sum the probabilities of the tokens that are, or begin, one label word and begin no other.

    A label without such a token is at most as probable as the least probable token that was
    returned, and as all that were not returned together: the lower bound of the two stands for it.

    Args:
        top: blanks around the text of a token do not count; a beginning has three bytes or more
            (three letters, or one Chinese character).
        words: one for each label, none of them the beginning of another.
    """
    found: dict[str, list[float]] = {word: [] for word in words}
    for token, log_probability in top:
        text = token.strip()
        begun = [word for word in words if text and word.startswith(text)]
        if len(begun) == 1 and (text in words or len(text.encode()) >= _SHORTEST_BEGINNING):
            found[begun[0]].append(log_probability)
    rest = max(1.0 - _mass(top), 0.0)
    bound = min(*(value for _, value in top), math.log(max(rest, _SMALLEST_REST)))
    return LabelScores(
        np.array([max(logsumexp(values or [bound]), _LEAST) for values in found.values()]),
        sum(not values for values in found.values()),
        rest,
    )


def _mass(top: Alternatives) -> float:
    return math.fsum(math.exp(value) for _, value in top)
