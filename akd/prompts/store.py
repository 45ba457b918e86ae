"""The adapted prompt on disk: prompt.json and the arrays of its calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from akd.errors import InputError
from akd.io import read_json, read_tensors, replacing, write_json, write_tensors
from akd.prompts.calibration import Calibrator, Probe
from akd.prompts.template import Prompt


@dataclass(frozen=True)
class AdaptedPrompt:
    """What turns a language model into a classifier of a task.

    Attributes:
        prompt: the winner of the search, or what a person has pinned.
        calibrator: from its scores to class probabilities.
        layers: 1-based numbers of the blocks whose states the calibrator reads.
        labels: the label names, in the order of every class axis.
        pinned: whether a person has chosen the prompt.
    """

    prompt: Prompt
    calibrator: Calibrator
    layers: Sequence[int]
    labels: Sequence[str]
    pinned: bool = False


def save(adapted: AdaptedPrompt, folder: Path) -> None:
    """Write prompt.json and calibration.safetensors into a new folder."""
    calibrator = adapted.calibrator
    with replacing(folder) as aside:
        write_json(
            aside / "prompt.json",
            {
                "prompt": adapted.prompt.model_dump(mode="json"),
                "pinned": adapted.pinned,
                "labels": list(adapted.labels),
                "layers": list(adapted.layers),
                "prompt_weight": calibrator.prompt_weight,
                "temperature": calibrator.temperature,
                "probed_layers": [adapted.layers[probe.block] for probe in calibrator.probes],
                "probe_weights": [probe.weight for probe in calibrator.probes],
            },
        )
        tensors = {name: torch.from_numpy(getattr(calibrator, name)) for name in ("prior", "share")}
        for number, probe in enumerate(calibrator.probes):
            for name in ("center", "scale", "coefficients", "intercepts"):
                tensors[f"probe{number}.{name}"] = torch.from_numpy(getattr(probe, name))
        write_tensors(aside / "calibration.safetensors", tensors)


def load(folder: Path) -> AdaptedPrompt:
    """Read what `save` wrote.

    Raises:
        InputError: if a file is missing, or of another version.
    """
    raw = read_json(folder / "prompt.json")
    arrays = {
        name: np.asarray(tensor)
        for name, tensor in read_tensors(folder / "calibration.safetensors").items()
    }
    probes = [
        Probe(
            raw["layers"].index(layer),
            raw["probe_weights"][number],
            arrays[f"probe{number}.center"],
            arrays[f"probe{number}.scale"],
            arrays[f"probe{number}.coefficients"],
            arrays[f"probe{number}.intercepts"],
        )
        for number, layer in enumerate(raw["probed_layers"])
    ]
    calibrator = Calibrator(
        arrays["prior"], raw["prompt_weight"], probes, raw["temperature"], arrays["share"]
    )
    prompt = prompt_of(raw["prompt"], folder)
    return AdaptedPrompt(prompt, calibrator, raw["layers"], raw["labels"], raw["pinned"])


def prompt_of(parts: Mapping[str, Any], folder: Path) -> Prompt:
    """Return a prompt as a file of this folder holds it.

    Raises:
        InputError: if an earlier version has written it.
    """
    try:
        return Prompt.model_validate(parts)
    except ValidationError:
        raise InputError(
            f"{folder} holds prompts of another version of akd: run its stage again (dvc repro "
            "prompt)"
        ) from None
