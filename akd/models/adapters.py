"""Adapters: build one on a student, save it reproducibly, load it again."""

import json
from pathlib import Path

from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    TaskType,
    get_peft_model,
    prepare_model_for_kbit_training,
)
from transformers import PreTrainedModel

from akd.errors import InputError
from akd.io import write_text
from akd.specs.adapters import LoraAdapter

EMPTY = "empty.json"
"""Marks the folder `student`: an adapter that has not begun."""


def write_empty(folder: Path) -> None:
    """Write the empty start that the first phase depends on."""
    write_text(folder / EMPTY, "{}\n")


def attach(model: PreTrainedModel, spec: LoraAdapter, start: Path, *, train: bool) -> PeftModel:
    """Put an adapter on the model: a new one on the empty start, else the one found there.

    Base weights stay frozen; a 4-bit model is prepared for training (QLoRA).

    Raises:
        InputError: if the folder holds neither.
    """
    if train and getattr(model, "is_loaded_in_4bit", False):
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    if (start / EMPTY).is_file():
        return get_peft_model(model, _config(spec))
    return load(model, start, train=train)


def load(model: PreTrainedModel, folder: Path, *, train: bool = False) -> PeftModel:
    """Load a saved adapter onto the model.

    Raises:
        InputError: if the folder holds no adapter.
    """
    if not (folder / "adapter_config.json").is_file():
        raise InputError(f"{folder} holds no adapter: run the phase that writes it (dvc repro)")
    return PeftModel.from_pretrained(model, str(folder), is_trainable=train)


def save(model: PeftModel, folder: Path) -> None:
    """Save the adapter alone, with a configuration whose bytes do not depend on set order."""
    model.peft_config["default"].base_model_name_or_path = "student"
    model.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # a model card with nothing in it
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(config.get("target_modules"), list):
        config["target_modules"].sort()
    write_text(path, json.dumps(config, indent=2, sort_keys=True) + "\n")


def trainable_share(model: PeftModel) -> tuple[int, int]:
    """Return the number of trainable parameters and of all parameters."""
    trainable, total = model.get_nb_trainable_parameters()
    return int(trainable), int(total)


def _config(spec: LoraAdapter) -> PeftConfig:
    return LoraConfig(
        r=spec.r,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        target_modules=spec.targets,
        task_type=TaskType.CAUSAL_LM,
    )
