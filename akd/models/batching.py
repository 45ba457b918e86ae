"""Batches of token sequences: sorted by length, padded on the right."""

from collections.abc import Iterator, Sequence

import torch


def batches_by_length(sequences: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
    """Yield the positions of the sequences in batches of like length, the longest first."""
    order = sorted(range(len(sequences)), key=lambda i: (-len(sequences[i]), i))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def pad_right(
    sequences: Sequence[Sequence[int]], pad_token: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens (batch, longest) and lengths (batch,).

    Padding stands after the last token, where a causal model cannot see it: no mask is needed.
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    tokens = torch.full((len(sequences), int(lengths.max())), pad_token)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = torch.tensor(sequence)
    return tokens, lengths
