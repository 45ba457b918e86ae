"""Batches of token sequences: sorted by length, padded on the right."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from akd.console import bar

_STEP = 16  # widths are multiples of it: most articles have few mates of their very length


def batches_by_length(sequences: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
    """Yield the positions of the sequences in batches of like length, the longest first."""
    order = sorted(range(len(sequences)), key=lambda i: (-len(sequences[i]), i))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def batches_of_width(
    sequences: Sequence[Sequence[int]], batch_size: int, widest: int | None
) -> Iterator[tuple[int, list[int]]]:
    """Yield a width and positions of at most `batch_size` sequences that are padded to it.

    The width of a sequence follows from its own length alone, whatever else there is: the next
    multiple of 16, but not more than `widest`, the room in the model's context (None: no limit).
    """
    widths: dict[int, list[int]] = {}
    for row, sequence in enumerate(sequences):
        width = -(-len(sequence) // _STEP) * _STEP
        widths.setdefault(width if widest is None else min(width, widest), []).append(row)
    for width, rows in sorted(widths.items(), reverse=True):
        for start in range(0, len(rows), batch_size):
            yield width, rows[start : start + batch_size]


def pad_right(
    sequences: Sequence[Sequence[int]], pad_token: int, width: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens (batch, the longest length or `width` if that is more) and lengths (batch,).

    Padding stands after the last token, where a causal model cannot see it: no mask is needed.
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    tokens = torch.full((len(sequences), max(int(lengths.max()), width)), pad_token)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = torch.tensor(sequence)
    return tokens, lengths


@torch.inference_mode()
def forward_all(
    forward: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    sequences: Sequence[Sequence[int]],
    *,
    batch_size: int,
    pad_token: int,
    device: torch.device,
    description: str | None,
) -> NDArray[np.float32]:
    """Return a row of figures for each sequence (n, width), in their order.

    Equal sequences are read once, and so have the very same figures.

    Args:
        forward: maps right-padded tokens (batch, length) and lengths (batch,) to (batch, width).
        description: of the progress bar; None for work too short to need one.
    """
    numbers = {tokens: number for number, tokens in enumerate(dict.fromkeys(map(tuple, sequences)))}
    distinct = list(numbers)
    parts: list[NDArray[np.float32]] = []
    order: list[int] = []
    with bar(
        description=description or "",
        unit="article",
        total=len(distinct),
        shown=description is not None,
    ) as progress:
        for rows in batches_by_length(distinct, batch_size):
            tokens, lengths = pad_right([distinct[row] for row in rows], pad_token)
            parts.append(forward(tokens.to(device), lengths.to(device)).float().cpu().numpy())
            order.extend(rows)
            progress.update(len(rows))
    found = np.concatenate(parts)[np.argsort(order)]
    return found[[numbers[tuple(tokens)] for tokens in sequences]]
