"""Multiplications: how many labelling needs, and how many this machine does in a second."""

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoConfig

from akd.models.architecture import describe

_SHAPES = ((2048, 2048, 2048), (2560, 576, 1536), (2560, 1536, 576), (4096, 4096, 4096))
"""Rows, width, columns: large square ones, and those of the embedded teacher's blocks."""

_REPEATS = 12


def ceiling(dtype: torch.dtype) -> float:
    """Return the most operations a second of any shape of matrix product on this machine."""
    best = 0.0
    for rows, width, columns in _SHAPES:
        left, right = (
            torch.randn(size, dtype=torch.float32).to(dtype)
            for size in ((rows, width), (width, columns))
        )
        for _ in range(_REPEATS):
            start = time.perf_counter()
            torch.mm(left, right)
            best = max(best, 2 * rows * width * columns / (time.perf_counter() - start))
    return best


def labelling_operations(model: Path, prefix: int, lengths: Sequence[int], logits: int) -> float:
    """Return the floating point operations of labelling, two for each multiplication with addition.

    The prefix is read before and not counted; padding is not counted either.

    Args:
        model: folder of the teacher.
        prefix: tokens before each article, to which it attends.
        lengths: tokens of each article and what follows it.
        logits: positions of all articles for which words are predicted.
    """
    size, config = describe(model), AutoConfig.from_pretrained(model, local_files_only=True)
    width, vocabulary = size["width"], size["vocabulary"]
    tables = 1 if config.tie_word_embeddings else 2
    weights = size["parameters"] - tables * vocabulary * width
    seen = sum(length * prefix + length * (length + 1) / 2 for length in lengths)
    attention = 4.0 * size["layers"] * width * seen
    return 2.0 * weights * sum(lengths) + 2.0 * vocabulary * width * logits + attention
