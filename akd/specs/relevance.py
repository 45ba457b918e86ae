"""What finds relevant articles: keyword expansion and the scorers of the filter (`filter`)."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from akd.specs.base import Frozen, Positive, Share
from akd.specs.pairs import HubModel, LocalModel

ScorerKind = Literal["keywords", "embedding", "nli", "teacher"]
_GROUP = "group"  # any name


class Expansion(Frozen):
    """Who adds keywords to the task's own, and how many to each domain.

    `mined`: phrases of at most `words` words, from a sample of the articles; `teacher`: what it
    completes the list with in each of `languages`, at a temperature; `both`.
    """

    kind: Literal["none", "mined", "teacher", "both"]
    per_domain: Positive
    articles: Positive
    words: Positive
    languages: list[str] = Field(min_length=1)
    temperature: Annotated[float, Field(gt=0)]


class Scorer(Frozen):
    """Who scores a step of the filter; articles below the threshold are dropped."""

    kind: ScorerKind
    threshold: Annotated[float, Field(ge=0, le=1)]


class EmbeddingParams(Frozen):
    """Scorer `embedding`: the mean state at a relative depth of the teacher."""

    depth: Annotated[float, Field(gt=0, le=1)]
    tokens: Positive


def _with_one_gap(hypothesis: str) -> str:
    try:
        told = hypothesis.format(_GROUP)
    except (IndexError, KeyError, ValueError):
        told = ""
    if _GROUP not in told:
        raise ValueError(f"{hypothesis!r} needs {{}} once, where the name of the group stands")
    return hypothesis


def _about_a_group(question: str) -> str:
    try:
        question.format(name=_GROUP, phrases=_GROUP)
    except (IndexError, KeyError, ValueError):
        raise ValueError(
            f"{question!r} may hold {{name}} and {{phrases}} of the group, and no other brace"
        ) from None
    return question


Hypothesis = Annotated[str, AfterValidator(_with_one_gap)]
Question = Annotated[str, AfterValidator(_about_a_group)]


class NliParams(Frozen):
    """Scorer `nli`: a model for natural language inference; `{}` is the name of the group."""

    model: Annotated[HubModel | LocalModel, Field(discriminator="kind")]
    domain_hypothesis: Hypothesis
    signal_hypothesis: Hypothesis


class QuestionParams(Frozen):
    """Scorer `teacher`: what it is asked of a text; `{name}` and `{phrases}` are of the group."""

    domain: Question
    signal: Question
    tokens: Positive


class FilterParams(Frozen):
    """The two steps of relevance, and what stays out of training."""

    expansion: Expansion
    domain: Scorer
    signal: Scorer
    embedding: EmbeddingParams
    nli: NliParams
    question: QuestionParams
    reference_articles: Positive
    held_out_similarity: Share
    max_articles: Positive
