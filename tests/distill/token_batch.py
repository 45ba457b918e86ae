"""A batch of tokens, a padded head, and what a teacher stored: what tests of token losses share."""

import torch
from torch import nn

VOCABULARY, PADDED, WIDTH, BATCH, LENGTH, TOP = 300, 320, 8, 3, 60, 5


def embeddings_of(bias: bool = True, seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(WIDTH, PADDED, bias=bias)


def dense_log_probabilities(hidden: torch.Tensor, embeddings: nn.Linear) -> torch.Tensor:
    """The reference: all logits at once, rows of padding at -inf."""
    logits = embeddings(hidden)
    padding = torch.arange(PADDED) >= VOCABULARY
    return logits.masked_fill(padding, -torch.inf).log_softmax(-1)


def stored_top(seed: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Top tokens, their log-probabilities and the tail of a random teacher."""
    torch.manual_seed(seed)
    teacher = (2 * torch.randn(BATCH, LENGTH, VOCABULARY)).log_softmax(-1)
    top, tokens = teacher.topk(TOP, dim=-1)
    return tokens, top, 1 - top.exp().sum(-1)
