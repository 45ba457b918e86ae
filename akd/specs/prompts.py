"""How the prompt is adapted and its scores calibrated (`prompt` of params.yaml)."""

from typing import Literal, Self

from pydantic import Field, model_validator

from akd.specs.base import Count, Frozen, NotNegative, Positive, PositiveFloat, Probability, Share

Operator = Literal[
    "verbalizer",
    "shots",
    "paraphrase",
    "response_format",
    "label_order",
    "chat_template",
    "system_message",
    "keyword",
    "article_mark",
]
"""What one step of the search may change."""
_ROUNDING = 0.005  # of shares with two digits


class Calibration(Frozen):
    """From scores to probabilities; `strengths` and `weights` are the candidates of an average.

    `shares`: of each label among the articles, where a person knows them; none means alike.
    """

    kind: Literal["none", "batch", "contextual", "pmi_dc", "shots_probe", "auto"]
    articles: Positive
    layers: list[Share] = Field(min_length=1)
    strengths: list[PositiveFloat] = Field(min_length=1)
    weights: list[NotNegative] = Field(min_length=1)
    temperature: PositiveFloat
    shares: dict[str, Share]

    @model_validator(mode="after")
    def _shares_are_of_a_whole(self) -> Self:
        if self.shares and self.kind == "none":
            raise ValueError(
                "prompt.calibration.shares needs a calibration, and `kind` is none: choose batch"
            )
        if self.shares and abs(sum(self.shares.values()) - 1) > _ROUNDING:
            raise ValueError(
                f"prompt.calibration.shares add up to {sum(self.shares.values()):g}, not to 1"
            )
        return self

    @property
    def reads_states(self) -> bool:
        """Return whether it reads the teacher's hidden states, and needs shots."""
        return self.kind in ("shots_probe", "auto")


class Pin(Frozen):
    """A prompt that a person has chosen: the parts of a `Prompt`, `shots` by their ids."""

    chat: bool
    system: str
    instruction: str
    article: str
    cue: str
    words: list[str] = Field(min_length=2)
    order: list[int]
    shots: list[str]


class PromptParams(Frozen):
    """The search for the teacher's prompt, and its calibration; `pins` has one prompt a task."""

    pins: dict[str, Pin]
    shots: Count
    unlabelled: Positive
    budget: Positive
    beam: Positive
    agreement_weight: NotNegative
    mutual_information_weight: NotNegative
    operators: list[Operator]
    keyword_neighbours: Positive
    near_copy: Probability
    shown: Count
    shown_characters: Positive
    calibration: Calibration
