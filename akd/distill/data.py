"""Batches: what is stored of each article, as tensors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray

from akd.models.batching import pad_right

Collate = Callable[[Sequence[Mapping[str, Any]]], dict[str, torch.Tensor]]


def dataset_of(
    sequences: Sequence[Sequence[int]], targets: NDArray[Any], states: torch.Tensor | None
) -> Dataset:
    """Return one row for each article.

    Args:
        sequences: tokens, the decision position last.
        targets: distribution of the teacher (n, targets).
        states: of the teacher (n, width), where a loss asks for them.
    """
    columns = {
        "row": np.arange(len(sequences)),
        "tokens": list(sequences),
        "targets": targets.tolist(),
    }
    if states is not None:
        columns["states"] = states.float().numpy()
    return Dataset.from_dict(columns)


def collator(pad_token: int) -> Collate:
    """Return what makes a batch: rows, right-padded tokens, lengths, targets, states if any."""

    def collate(rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        tokens, lengths = pad_right([row["tokens"] for row in rows], pad_token)
        batch = {
            "rows": torch.tensor([row["row"] for row in rows]),
            "tokens": tokens,
            "lengths": lengths,
        }
        for name in rows[0].keys() & {"targets", "states"}:
            batch[name] = torch.tensor([row[name] for row in rows], dtype=torch.float32)
        return batch

    return collate
