"""What finds relevant articles: keyword expansion and the scorers of the filter (`filter`)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from akd.pairs import HubModel, LocalModel

Positive = Annotated[int, Field(gt=0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


ScorerKind = Literal["keywords", "embedding", "nli", "teacher"]


class Expansion(_Frozen):
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


class Scorer(_Frozen):
    """Who scores a step of the filter; articles below the threshold are dropped."""

    kind: ScorerKind
    threshold: Annotated[float, Field(ge=0, le=1)]


class EmbeddingParams(_Frozen):
    """Scorer `embedding`: the mean state at a relative depth of the teacher."""

    depth: Annotated[float, Field(gt=0, le=1)]
    tokens: Positive


class NliParams(_Frozen):
    """Scorer `nli`: a model for natural language inference; `{}` is the name of the group."""

    model: Annotated[HubModel | LocalModel, Field(discriminator="kind")]
    domain_hypothesis: str
    signal_hypothesis: str


class QuestionParams(_Frozen):
    """Scorer `teacher`: what it is asked of a text; `{name}` and `{phrases}` are of the group."""

    domain: str
    signal: str
    tokens: Positive
