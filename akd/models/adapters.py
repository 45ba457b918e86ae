"""Adapters: build one on a student, save it reproducibly, load it again."""

import json
from pathlib import Path
from typing import assert_never

from peft import (
    IA3Config,
    LoraConfig,
    PeftConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptTuningConfig,
    PromptTuningInit,
    TaskType,
    get_peft_model,
    prepare_model_for_kbit_training,
)
from peft.utils.constants import (
    TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING,
    TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING,
)
from transformers import PreTrainedModel

from akd.errors import InputError
from akd.io import write_text
from akd.models.architecture import transformer_blocks
from akd.models.placement import chosen_linears, ending, outputs, owners
from akd.models.tuners.series import SeriesConfig
from akd.models.tuners.weights import WEIGHTS, WeightsConfig
from akd.specs.adapters import Adapter

EMPTY = "empty.json"
"""Marks the folder `student`: an adapter that has not begun."""


def write_empty(folder: Path) -> None:
    """Write the empty start that the first phase depends on."""
    write_text(folder / EMPTY, "{}\n")


def attach(model: PreTrainedModel, spec: Adapter, start: Path, *, train: bool) -> PeftModel:
    """Put an adapter on the model: a new one on the empty start, else the one found there.

    Base weights stay frozen.

    Raises:
        InputError: if the folder holds neither, or this model cannot have such an adapter.
    """
    if (start / EMPTY).is_file():
        return get_peft_model(_prepared(model), _config(model, spec))
    return load(model, start, train=train)


def load(model: PreTrainedModel, folder: Path, *, train: bool = False) -> PeftModel:
    """Load a saved adapter onto the model.

    Raises:
        InputError: if the folder holds no adapter.
    """
    if not (folder / "adapter_config.json").is_file():
        raise InputError(f"{folder} holds no adapter: run the phase that writes it (dvc repro)")
    model, config = _prepared(model), PeftConfig.from_pretrained(str(folder))
    if not config.is_prompt_learning:
        return PeftModel.from_pretrained(model, str(folder), is_trainable=train)
    # PEFT refuses `is_trainable` for virtual tokens, and leaves them half frozen.
    loaded = PeftModel.from_pretrained(model, str(folder))
    loaded.active_peft_config.inference_mode = not train
    loaded.prompt_encoder.requires_grad_(train)
    return loaded


def save(model: PeftModel, folder: Path) -> None:
    """Save the adapter alone, with a configuration whose bytes do not depend on set order."""
    model.peft_config["default"].base_model_name_or_path = "student"
    model.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # a model card with nothing in it
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for key in ("target_modules", "feedforward_modules"):
        if isinstance(config.get(key), list):
            config[key].sort()
    write_text(path, json.dumps(config, indent=2, sort_keys=True) + "\n")


def trainable_share(model: PeftModel) -> tuple[int, int]:
    """Return the number of trainable parameters and of all parameters.

    A trained weight and the frozen one that it replaces count once: `full` trains all there is.
    """
    trainable, total = (int(count) for count in model.get_nb_trainable_parameters())
    beside = trainable if model.active_peft_config.peft_type == WEIGHTS else 0
    return trainable, total - beside


def _prepared(model: PreTrainedModel) -> PreTrainedModel:
    """Return a 4-bit model with all else in float32 (QLoRA), read as it was trained."""
    if not getattr(model, "is_loaded_in_4bit", False):
        return model
    prepared: PreTrainedModel = prepare_model_for_kbit_training(
        model, use_gradient_checkpointing=False
    )
    return prepared


def _config(model: PreTrainedModel, spec: Adapter) -> PeftConfig:
    first = spec.first_block(len(transformer_blocks(model)))
    match spec.kind:
        case "lora" | "dora":
            return LoraConfig(
                r=spec.r,
                lora_alpha=spec.alpha,
                lora_dropout=spec.dropout,
                use_dora=spec.kind == "dora",
                target_modules=chosen_linears(model, spec.targets, first),
                task_type=TaskType.CAUSAL_LM,
            )
        case "series":
            return SeriesConfig(
                r=spec.r,
                dropout=spec.dropout,
                target_modules=set(outputs(model, first)),
                task_type=TaskType.CAUSAL_LM,
            )
        case "ia3":
            return _ia3(model, first)
        case "bitfit" | "full":
            return _weights(model, first, biases=spec.kind == "bitfit")
        case "prompt":
            return PromptTuningConfig(
                num_virtual_tokens=spec.tokens,
                prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB,
                task_type=TaskType.CAUSAL_LM,
            )
        case "prefix":
            return PrefixTuningConfig(num_virtual_tokens=spec.tokens, task_type=TaskType.CAUSAL_LM)
        case _:
            assert_never(spec.kind)


def _ia3(model: PreTrainedModel, first: int) -> IA3Config:
    family = model.config.model_type
    known = TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING
    if family not in known:
        raise InputError(
            f"adapter ia3: PEFT does not say which layers of a {family} model it scales: choose "
            f"another adapter, or a model of {', '.join(sorted(known))}"
        )
    inner = TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING[family]
    return IA3Config(
        target_modules=ending(model, known[family], first),
        feedforward_modules=ending(model, inner, first),
        task_type=TaskType.CAUSAL_LM,
    )


def _weights(model: PreTrainedModel, first: int, *, biases: bool) -> WeightsConfig:
    names = owners(model, first, biases=biases)
    if not names:
        raise InputError(
            f"adapter bitfit: {type(model).__name__} has no biases to train: choose another adapter"
        )
    return WeightsConfig(biases=biases, target_modules=names, task_type=TaskType.CAUSAL_LM)
