"""Finished work of the teacher, kept outside the outputs: an interruption loses one shard."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from akd.io import read_tensors, resume_folder, write_tensors
from akd.models.load import compute_dtype
from akd.prompts.store import AdaptedPrompt
from akd.records import Scores


def fingerprint(model: Path, decides: Mapping[str, Any]) -> str:
    """Return a hash of everything that decides a score besides the text.

    Args:
        model: folder of the resolved model; weights, configuration and tokenizer are hashed.
        decides: prompt, dtype and whatever else changes the result, as plain JSON values.
    """
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode())
    for file in sorted(model.iterdir()):
        with file.open("rb") as content:
            digest.update(file.name.encode())
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:32]


def store_of(model: Path, adapted: AdaptedPrompt, reading: Mapping[str, Any]) -> "ScoreStore":
    """Return the store of what this model says under this prompt on this machine.

    Args:
        model: folder of the resolved model.
        adapted: prompt, and the blocks whose states are kept.
        reading: how texts are cut and batched, as plain JSON values.
    """
    decides = {
        "prompt": adapted.prompt.model_dump(mode="json"),
        "layers": list(adapted.layers),
        "dtype": str(compute_dtype()),
        **reading,
    }
    return ScoreStore(resume_folder() / fingerprint(model, decides))


class ScoreStore:
    """Scores of lists of texts, one file for each list, found again by their content."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def remember(self, texts: Sequence[str], compute: Callable[[Sequence[str]], Scores]) -> Scores:
        """Return the stored scores of these texts, or compute and store them."""
        key = hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()[:32]
        path = self._folder / f"{key}.safetensors"
        if not path.is_file():
            scores = compute(texts)
            arrays = {
                "log_probabilities": scores.log_probabilities,
                "decision": scores.decision,
                "states": scores.states,
            }
            write_tensors(path, {name: torch.from_numpy(a) for name, a in arrays.items()})
        tensors = read_tensors(path)
        return Scores(**{name: tensor.numpy() for name, tensor in tensors.items()})
