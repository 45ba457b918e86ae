"""Batches of articles: what one says of itself does not depend on which batch it is in."""

import numpy as np
import torch

from akd.models.batching import forward_all


def test_equal_articles_are_read_once_and_say_the_same() -> None:
    seen: list[list[int]] = []

    def width_and_first(tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        seen.extend(row[:length] for row, length in zip(tokens.tolist(), lengths, strict=True))
        return torch.stack([torch.full((len(tokens),), tokens.shape[1]), tokens[:, 0]], dim=1)

    sequences = [[5, 6], [7, 8, 9], [5, 6], [4], [5, 6], [4]]
    found = forward_all(
        width_and_first, sequences, batch_size=2, pad_token=0, device=torch.device("cpu"),
        description=None,
    )  # fmt: skip
    assert sorted(seen) == [[4], [5, 6], [7, 8, 9]]
    np.testing.assert_array_equal(found, [[3, 5], [3, 7], [3, 5], [1, 4], [3, 5], [1, 4]])
