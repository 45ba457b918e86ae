"""The typed mirror of params.yaml: frozen, nothing extra, no defaults (DVC could not see them)."""

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from akd.engines import Engine
from akd.errors import InputError
from akd.pairs import Pair
from akd.scorers import EmbeddingParams, Expansion, NliParams, QuestionParams, Scorer

Share = Annotated[float, Field(gt=0, le=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FetchParams(_Frozen):
    """How much to fetch."""

    max_articles_per_source: Positive


class DuplicateParams(_Frozen):
    """When two texts are near duplicates: estimated Jaccard index of their shingles."""

    permutations: Positive
    shingle: Positive
    similarity: Share


class LanguageParams(_Frozen):
    """Who detects the language, on how many characters, and when the cascade trusts fastText."""

    backend: Literal["langdetect", "cascade", "fasttext"]
    characters: Positive
    sure: Probability


class CleanParams(_Frozen):
    """What an article must be to be kept."""

    min_characters: Positive
    max_characters: Positive
    languages: list[str]
    language: LanguageParams
    duplicates: DuplicateParams


class FilterParams(_Frozen):
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


class Calibration(_Frozen):
    """From scores to probabilities; `strengths` and `weights` are the candidates of an average."""

    kind: Literal["none", "batch", "shots_probe", "auto"]
    articles: Positive
    layers: list[Share] = Field(min_length=1)
    strengths: list[Annotated[float, Field(gt=0)]] = Field(min_length=1)
    weights: list[Annotated[float, Field(ge=0)]] = Field(min_length=1)
    temperature: Annotated[float, Field(gt=0)]


class PromptParams(_Frozen):
    """The search for the teacher's prompt, and its calibration."""

    shots: Annotated[int, Field(ge=0)]
    unlabelled: Positive
    budget: Positive
    beam: Positive
    mutual_information_weight: Annotated[float, Field(ge=0)]
    calibration: Calibration


class LabelParams(_Frozen):
    """How the teacher labels, and through which engine it is asked."""

    engine: Engine
    article_tokens: Positive
    batch_size: Positive
    shard_articles: Positive


class LoraAdapter(_Frozen):
    """LoRA (Hu et al. 2022) on the named linear layers, or on `all-linear`."""

    kind: Literal["lora"]
    r: Positive
    alpha: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    targets: Literal["all-linear"] | list[str]


class Quantization(_Frozen):
    """`nf4`: the student's linear layers in 4-bit NormalFloat, double quantised (QLoRA)."""

    kind: Literal["none", "nf4"]


class OptimizerParams(_Frozen):
    """AdamW and its schedule, the same in every phase."""

    learning_rate: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "linear", "cosine"]
    warmup: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    max_gradient_norm: Annotated[float, Field(gt=0)]
    batch_size: Positive


class Phase(_Frozen):
    """One phase: the adapter it starts from, its targets, and the easiest share of articles."""

    init_from: str
    targets: Literal["coarse", "classes"]
    share: Share
    epochs: Positive
    temperature: Annotated[float, Field(gt=0)]


class DistillParams(_Frozen):
    """The phases, from simple to complex."""

    student_prompt: Literal["bare", "same"]
    readout: Literal["pooled", "label_words"]
    final: str
    phases: dict[str, Phase] = Field(min_length=1)

    @model_validator(mode="after")
    def _chained(self) -> Self:
        for name, phase in self.phases.items():
            if phase.init_from not in {"student", *self.phases} or phase.init_from == name:
                raise ValueError(f"{name} starts from the unknown phase {phase.init_from!r}")
        if self.final not in self.phases:
            raise ValueError(f"final is {self.final!r}, which is no phase")
        return self


class EvaluateParams(_Frozen):
    """Bins of the calibration error, resamples and confidence of the intervals."""

    bins: Positive
    resamples: Positive
    confidence: Annotated[float, Field(gt=0, lt=1)]


class SignalParams(_Frozen):
    """How many newest articles become alerts."""

    articles: Positive


class Params(_Frozen):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0)]
    task: str
    pair: str
    pairs: dict[str, Pair]
    fetch: FetchParams
    clean: CleanParams
    filter: FilterParams
    prompt: PromptParams
    label: LabelParams
    adapter: LoraAdapter
    quantization: Quantization
    optimizer: OptimizerParams
    distill: DistillParams
    evaluate: EvaluateParams
    signal: SignalParams

    @model_validator(mode="after")
    def _pair_exists(self) -> Self:
        if self.pair not in self.pairs:
            known = ", ".join(sorted(self.pairs))
            raise ValueError(f"pair {self.pair!r} is not one of {known}")
        return self

    @model_validator(mode="after")
    def _engine_knows_what_the_calibration_reads(self) -> Self:
        engine, calibration = self.label.engine.kind, self.prompt.calibration.kind
        if engine != "transformers" and calibration in ("shots_probe", "auto"):
            raise ValueError(
                f"calibration {calibration!r} reads hidden states, and the engine {engine!r} gives "
                "none: choose `prompt.calibration.kind: batch`"
            )
        return self


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml.

    Raises:
        InputError: if it is missing, not YAML, or breaks the schema (the first key is named).
    """
    try:
        return Params.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run from the root of the project") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{path}: {place + ': ' if place else ''}{message}: correct it") from None
