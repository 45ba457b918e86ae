"""Optimizer, losses, sampling and phases (`optimizer`, `distill` of params.yaml)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from akd.specs.base import Count, Frozen, NotNegative, Positive, PositiveFloat, Probability

LossName = Literal[
    "soft_cross_entropy",
    "hard_cross_entropy",
    "kl",
    "hidden",
    "ted",
    "next_token",
    "rationale",
    "minillm",
]
CLASS_LOSSES = frozenset({"soft_cross_entropy", "hard_cross_entropy", "kl"})
"""Those that read the classes, and so train the readout with the adapter."""
WORD_LOSSES = frozenset({"next_token", "rationale", "minillm"})
"""Those that read words, and so the language model's own head."""
Difficulty = Literal[
    "entropy", "margin", "length", "student_loss", "disagreement", "reciprocal_rank", "random"
]


class OptimizerParams(Frozen):
    """AdamW and its schedule, the same in every phase.

    `paged_adamw` keeps its states in pages that leave a full GPU (QLoRA); on a CPU it is plain.
    `gradient_checkpointing` computes activations again in the backward pass: less memory.
    """

    kind: Literal["adamw", "paged_adamw"]
    learning_rate: PositiveFloat
    schedule: Literal["constant", "linear", "cosine"]
    warmup: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: NotNegative
    max_gradient_norm: PositiveFloat
    batch_size: Positive
    gradient_checkpointing: bool


class KlParams(Frozen):
    """Loss `kl`: which way it looks, `beta` of jsd, `skew` of DistiLLM."""

    direction: Literal["forward", "reverse", "jsd", "skew"]
    beta: Annotated[float, Field(gt=0, lt=1)]
    skew: Annotated[float, Field(gt=0, lt=1)]


class HiddenParams(Frozen):
    """Loss `hidden`: how the student's states meet the stored ones of the teacher.

    `projection`: a linear map fitted before the phase and not kept, then a distance; `gram`: the
    similarities inside a batch, without parameters.
    """

    kind: Literal["projection", "gram"]
    distance: Literal["cosine", "mse"]


class RationaleParams(Frozen):
    """Loss `rationale`: the teacher's words, or its most probable ones and the exact rest."""

    kind: Literal["text", "top_k"]


class TedParams(Frozen):
    """Loss `ted`: the width of a filtered state, and how stage I learns the filters.

    `epochs` goes over all that may be learnt, at a constant `learning_rate`, before the phase.
    """

    filtered: Positive
    epochs: Positive
    learning_rate: PositiveFloat


class MiniLLMParams(Frozen):
    """Loss `minillm`: what the student writes behind the cue, at most `tokens`, and learns from.

    `teacher_share`: alpha, what the teacher adds to the sampling (0.2 in the paper); `clip`: how
    far a step may go, as in PPO (0.2 in the paper).
    """

    tokens: Positive
    teacher_share: Annotated[float, Field(gt=0, lt=1)]
    clip: Annotated[float, Field(gt=0)]


class LossParams(Frozen):
    """The settings of the losses; their weights stand in the phases."""

    kl: KlParams
    hidden: HiddenParams
    ted: TedParams
    rationale: RationaleParams
    minillm: MiniLLMParams


class SamplingParams(Frozen):
    """From which domains a phase draws.

    `proportional`: each article once an epoch; `uniform`: each domain alike; `ddk`: more from the
    domains where the student lags, measured every so many steps on `validation` articles of each.
    No kind learns from these, so that all can be compared; where nothing measures, 0 spares them.
    """

    kind: Literal["ddk", "uniform", "proportional"]
    by: Literal["domain", "language", "domain_and_language"]
    every: Positive
    smoothing: Probability
    validation: Count

    @model_validator(mode="after")
    def _something_is_measured(self) -> Self:
        if self.kind == "ddk" and not self.validation:
            raise ValueError(
                "distill.sampling.validation is 0, and ddk measures on these articles: name some, "
                "or choose proportional or uniform"
            )
        return self


class Phase(Frozen):
    """One phase: the adapter it starts from, its targets, its articles, and its losses.

    `articles`: from which to which share of them, sorted from easy to hard.
    """

    init_from: str
    targets: Literal["coarse", "classes"]
    articles: tuple[Probability, Probability]
    epochs: Positive
    temperature: PositiveFloat
    losses: dict[LossName, PositiveFloat] = Field(min_length=1)

    @model_validator(mode="after")
    def _some_articles(self) -> Self:
        low, high = self.articles
        if low >= high:
            raise ValueError(f"articles [{low}, {high}]: the second share must be above the first")
        return self

    @model_validator(mode="after")
    def _one_text_behind_the_cue(self) -> Self:
        if {"rationale", "minillm"} <= self.losses.keys():
            raise ValueError(
                "rationale and minillm both stand behind the cue: give each a phase of its own"
            )
        return self


class DistillParams(Frozen):
    """The phases, from simple to complex, and what they share.

    `target_temperature` is of the teacher's distribution alone, before any phase: below 1 the
    teacher is sharpened. The `temperature` of a phase softens teacher and student alike.
    `own_share`, times the square of its confidence, is what the student's own answer before the
    phase weighs in the target of an article; 0 leaves the teacher alone.
    `frozen_cache_gib` is how much disk a phase may use for what the blocks below the adapter make
    of the articles, which is then computed once; with 0 it is computed in each step.
    """

    student_prompt: Literal["bare", "same"]
    readout: Literal["pooled", "label_words"]
    target_temperature: PositiveFloat
    own_share: Probability
    difficulty: Difficulty
    sampling: SamplingParams
    losses: LossParams
    frozen_cache_gib: Annotated[float, Field(ge=0)]
    final: str
    phases: dict[str, Phase] = Field(min_length=1)

    @model_validator(mode="after")
    def _chained(self) -> Self:
        """Each phase must lead back to `student`, the empty start."""
        for name in self.phases:
            path, at = [name], name
            while at != "student":
                at = self.phases[at].init_from
                if at not in {"student", *self.phases}:
                    raise ValueError(f"{path[-1]} starts from the unknown phase {at!r}")
                if at in path:
                    raise ValueError(f"phases form a circle: {' <- '.join([*path, at])}")
                path.append(at)
        if self.final not in self.phases:
            raise ValueError(f"final is {self.final!r}, which is no phase")
        return self
