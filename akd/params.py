"""The typed mirror of params.yaml: frozen, nothing extra, no defaults (DVC could not see them)."""

from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from akd.errors import InputError
from akd.specs.adapters import Adapter, Quantization
from akd.specs.base import Frozen
from akd.specs.corpus import CleanParams, FetchParams
from akd.specs.distillation import DistillParams, OptimizerParams
from akd.specs.evaluation import EvaluateParams, SignalParams
from akd.specs.gate import GateRule
from akd.specs.labels import LabelParams
from akd.specs.pairs import Pair
from akd.specs.prompts import PromptParams
from akd.specs.relevance import FilterParams


class Params(Frozen):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    task: str
    pair: str
    pairs: dict[str, Pair]
    fetch: FetchParams
    clean: CleanParams
    filter: FilterParams
    prompt: PromptParams
    label: LabelParams
    adapter: Adapter
    quantization: Quantization
    optimizer: OptimizerParams
    distill: DistillParams
    evaluate: EvaluateParams
    signal: SignalParams
    gate: Annotated[list[GateRule], Field(min_length=1)]

    @model_validator(mode="after")
    def _pair_exists(self) -> Self:
        if self.pair not in self.pairs:
            known = ", ".join(sorted(self.pairs))
            raise ValueError(f"pair {self.pair!r} is not one of {known}")
        return self

    @model_validator(mode="after")
    def _weights_in_four_bits_stay(self) -> Self:
        if self.adapter.kind == "full" and self.quantization.kind != "none":
            raise ValueError(
                f"adapter 'full' trains weights, and {self.quantization.kind!r} has none that can "
                "be trained: set `quantization.kind: none` or choose another `adapter.kind`"
            )
        return self

    @model_validator(mode="after")
    def _virtual_tokens_are_kept(self) -> Self:
        if self.adapter.kind == "prefix" and self.optimizer.gradient_checkpointing:
            raise ValueError(
                "adapter 'prefix' stands in keys and values, which gradient checkpointing drops: "
                "set `optimizer.gradient_checkpointing: false` or choose another `adapter.kind`"
            )
        return self

    @model_validator(mode="after")
    def _nothing_is_written_behind_virtual_tokens(self) -> Self:
        for name, phase in self.distill.phases.items():
            if self.adapter.virtual_tokens and "minillm" in phase.losses:
                raise ValueError(
                    f"the loss 'minillm' of {name} does not sample behind virtual tokens: choose "
                    "another `adapter.kind`, or leave the loss out of `distill.phases`"
                )
        return self

    @model_validator(mode="after")
    def _engine_knows_what_the_calibration_reads(self) -> Self:
        engine, calibration = self.label.engine.kind, self.prompt.calibration
        if engine != "transformers" and calibration.reads_states:
            raise ValueError(
                f"calibration {calibration.kind!r} reads hidden states, and the engine {engine!r} "
                "gives none: choose `prompt.calibration.kind: batch`"
            )
        return self

    @model_validator(mode="after")
    def _states_are_there(self) -> Self:
        engine = self.label.engine.kind
        if self.label.states and engine != "transformers":
            raise ValueError(
                f"`label.states` names hidden states to keep, and the engine {engine!r} gives "
                "none: choose `label.states: []`, or the engine transformers"
            )
        return self

    @model_validator(mode="after")
    def _losses_are_fed(self) -> Self:
        """No phase is trained where a later one asks for what the teacher will not have said."""
        lacking = {
            "rationale": (self.label.rationales.share == 0, "`label.rationales.share` above 0"),
            "ted": (not self.label.states, "`label.states`, such as [0.53, 0.93]"),
            "hidden": (self.label.engine.kind != "transformers", "the engine transformers"),
            "minillm": (self.label.engine.kind == "openai", "a teacher on this machine"),
        }
        for name, phase in self.distill.phases.items():
            for loss in phase.losses:
                lacks, wanted = lacking.get(loss, (False, ""))
                if lacks:
                    raise ValueError(
                        f"the loss {loss!r} of {name} needs {wanted}: set that, or leave the loss "
                        "out of `distill.phases`"
                    )
        return self

    @model_validator(mode="after")
    def _engine_can_explain(self) -> Self:
        engine = self.label.engine.kind
        if engine != "transformers" and self.label.rationales.share > 0:
            raise ValueError(
                f"the engine {engine!r} cannot give the reason of a label that it is told: set "
                "`label.rationales.share: 0`, or choose the engine transformers"
            )
        return self


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml.

    Raises:
        InputError: if it is missing, no text in UTF-8, not YAML, or breaks the schema (the first
            key is named).
    """
    try:
        return Params.model_validate(yaml.safe_load(path.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run from the root of the project") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8: save it in that encoding") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{path}: {place + ': ' if place else ''}{message}: correct it") from None
