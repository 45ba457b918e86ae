"""Batches: what is stored of each article, as tensors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray

from akd.distill.reasons import Reason
from akd.models.batching import pad_right

Collate = Callable[[Sequence[Mapping[str, Any]]], dict[str, torch.Tensor]]


def dataset_of(
    sequences: Sequence[Sequence[int]],
    targets: NDArray[Any],
    answers: NDArray[Any],
    states: torch.Tensor | None,
    reasons: Sequence[Reason | None] | None,
    filtered: torch.Tensor | None = None,
) -> Dataset:
    """Return one row for each article.

    Args:
        sequences: tokens, the decision position last.
        targets: distribution that is learnt (n, targets).
        answers: the teacher's most probable target (n,).
        states: of the teacher (n, width), where a loss asks for them.
        reasons: that some articles have, where a loss asks for them.
        filtered: states of the teacher (n, layers, filtered), where a loss asks for them.
    """
    columns = {
        "row": np.arange(len(sequences)),
        "tokens": list(sequences),
        "targets": targets.tolist(),
        "answers": answers.tolist(),
    }
    if states is not None:
        columns["states"] = states.float().numpy()
    if filtered is not None:
        columns["filtered"] = filtered.tolist()
    if reasons is not None:
        columns["reason"] = [None if reason is None else asdict(reason) for reason in reasons]
    return Dataset.from_dict(columns)


def collator(pad_token: int) -> Collate:
    """Return what makes a batch: rows, right-padded tokens, lengths, and whatever is stored.

    The lengths end at the decision position; behind it a reason may stand, see `_reasons`.
    """

    def collate(rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        reasons = [row.get("reason") for row in rows]
        whole = [
            [*row["tokens"], *(reason["tokens"] if reason else [])]
            for row, reason in zip(rows, reasons, strict=True)
        ]
        tokens, _ = pad_right(whole, pad_token)
        lengths = torch.tensor([len(row["tokens"]) for row in rows])
        batch = {
            "rows": torch.tensor([row["row"] for row in rows]),
            "tokens": tokens,
            "lengths": lengths,
            "answers": torch.tensor([row["answers"] for row in rows]),
        }
        for name in rows[0].keys() & {"targets", "states", "filtered"}:
            batch[name] = torch.tensor([row[name] for row in rows], dtype=torch.float32)
        if "reason" in rows[0]:
            batch |= _reasons(reasons, lengths.tolist(), tokens.shape[1])
        return batch

    return collate


def _reasons(
    reasons: Sequence[Mapping[str, Any] | None], lengths: Sequence[int], width: int
) -> dict[str, torch.Tensor]:
    """Return which tokens are of a reason (batch, width), and the teacher's word on each.

    `top_tokens` and `top_log_probabilities` are (batch, width, k), `tail_mass` (batch, width); what
    is not of a reason, or not stored of it, holds nothing.
    """
    alternatives = max(
        (len(r["top_tokens"][0]) for r in reasons if r and r["top_tokens"]), default=1
    )
    shape = (len(reasons), width)
    counted = torch.zeros(shape, dtype=torch.bool)
    tops = torch.zeros((*shape, alternatives), dtype=torch.long)
    log_probabilities = torch.full((*shape, alternatives), -torch.inf)
    tails = torch.zeros(shape)
    for row, (reason, length) in enumerate(zip(reasons, lengths, strict=True)):
        if reason is None:
            continue
        place = slice(length + reason["start"], length + len(reason["tokens"]))
        counted[row, place] = True
        if reason["top_tokens"]:
            tops[row, place] = torch.tensor(reason["top_tokens"])
            log_probabilities[row, place] = torch.tensor(reason["top_log_probabilities"])
            tails[row, place] = torch.tensor(reason["tail_mass"])
    return {
        "reason": counted,
        "top_tokens": tops,
        "top_log_probabilities": log_probabilities,
        "tail_mass": tails,
    }
