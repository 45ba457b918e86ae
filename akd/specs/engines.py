"""Who the teacher is asked through (`label.engine` of params.yaml)."""

from typing import Annotated, Literal

from pydantic import Field

from akd.specs.adapters import Quantization
from akd.specs.base import Count, Frozen, Positive


class TransformersEngine(Frozen):
    """The pair's teacher on this machine, with its hidden states.

    `quantization` is the teacher's alone: nf4 holds its linear layers in 4-bit NormalFloat, double
    quantised (Dettmers et al. 2023), for one that does not fit otherwise.
    """

    kind: Literal["transformers"]
    quantization: Literal["none", "nf4"]


class VllmEngine(Frozen):
    """The pair's teacher in vLLM on this machine; it gives no hidden states."""

    kind: Literal["vllm"]


class OpenAIEngine(Frozen):
    """A model behind an OpenAI-compatible server; it gives no hidden states.

    The pair's teacher lends its tokenizer, which says how much of an article is read, and is what
    a pruned student is cut out of. `chat` asks /chat/completions, else /completions. The budgets
    are for all runs whose answers `.akd` keeps (`.akd/spent`); `price` is of a million prompt
    tokens. The key is in OPENAI_API_KEY.
    """

    kind: Literal["openai"]
    base_url: str
    model: str
    chat: bool
    top_log_probabilities: Positive
    concurrency: Positive
    token_budget: Positive
    cost_budget: Annotated[float, Field(gt=0)]
    price: Annotated[float, Field(ge=0)]
    timeout: Annotated[float, Field(gt=0)]
    retries: Count


Engine = Annotated[TransformersEngine | VllmEngine | OpenAIEngine, Field(discriminator="kind")]


def teacher_quantization(engine: Engine) -> Quantization:
    """Return how the pair's teacher is held, in whatever stage it is loaded."""
    kind = engine.quantization if isinstance(engine, TransformersEngine) else "none"
    return Quantization(kind=kind)
