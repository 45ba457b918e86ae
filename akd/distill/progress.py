"""What training leaves behind at each checkpoint, so that it can go on as if nothing had been."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import nn

from akd.distill.sampling import Measurement
from akd.io import (
    file_hashes,
    fingerprint,
    read_json,
    read_tensors,
    resume_folder,
    write_json,
    write_tensors,
)

_WEIGHTS = "trainable.safetensors"
_PROGRESS = "progress.json"
_LAST_WRITTEN = "trainer_state.json"
_LIBRARIES = ("torch", "transformers", "peft", "accelerate", "bitsandbytes")
_POINTS = 40  # of the loss curve


@dataclass
class Progress:
    """Losses of each step (nats, by name), and what DDK measured."""

    losses: list[dict[str, float]] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)

    def add(self, step: int, losses: dict[str, float]) -> None:
        """Enter the losses of a step; those of a step that is done again replace the first."""
        del self.losses[step:]
        self.losses.append(losses)

    def curve(self) -> pl.DataFrame:
        """Return the loss curve: in `step`, losses since the row before are averaged."""
        window = max(1, len(self.losses) // _POINTS)
        steps = pl.DataFrame(self.losses).with_row_index("step", offset=1)
        last = ((pl.col("step") - 1) // window + 1) * window
        grouped = steps.with_columns(pl.min_horizontal(last, len(self.losses)).alias("step"))
        return grouped.group_by("step", maintain_order=True).mean()


def checkpoints_folder(decides: Mapping[str, Any], inputs: Sequence[Path]) -> Path:
    """Return the folder for the checkpoints of one training, which no training but its like meets.

    Code that has changed since, of the project or of a library, begins anew.

    Args:
        decides: everything that decides the result besides inputs and code, as plain JSON values.
        inputs: folders that are read; the content of their files counts.
    """
    content = {str(folder): file_hashes(folder, "**/*") for folder in inputs}
    code = file_hashes(Path(__file__).parent.parent, "**/*.py")
    libraries = {name: version(name) for name in _LIBRARIES}
    ingredients = {**decides, "inputs": content, "code": code, "libraries": libraries}
    return resume_folder() / fingerprint({"kind": "training", **ingredients})


def write_checkpoint(folder: Path, student: nn.Module, progress: Progress) -> None:
    """Write the trainable weights and the progress; the Trainer adds its own state after them."""
    write_tensors(folder / _WEIGHTS, {name: w.detach() for name, w in _trainable(student).items()})
    write_json(folder / _PROGRESS, asdict(progress))


def read_checkpoint(folder: Path, student: nn.Module, progress: Progress) -> None:
    """Put the weights into the student and the progress into `progress`, in place."""
    stored, weights = read_tensors(folder / _WEIGHTS), _trainable(student)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(stored[name])
    kept = read_json(folder / _PROGRESS)
    progress.losses[:] = kept["losses"]
    progress.measurements[:] = [Measurement(**row) for row in kept["measurements"]]


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint that is whole; None if there is none.

    The Trainer writes its state last: where that is missing or torn, the process ended before.
    """
    found = [path for path in folder.glob("checkpoint-*") if _is_whole(path)]
    return max(found, key=lambda path: int(path.name.split("-")[1]), default=None)


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a training that has ended.

    The folder is renamed first: of one that is half gone a checkpoint might seem to be whole.
    """
    aside = folder.with_name(f"{folder.name}.done")
    shutil.rmtree(aside, ignore_errors=True)
    if folder.is_dir():
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    try:
        json.loads((folder / _LAST_WRITTEN).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return True


def _trainable(student: nn.Module) -> dict[str, nn.Parameter]:
    return {name: weight for name, weight in student.named_parameters() if weight.requires_grad}
