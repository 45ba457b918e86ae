"""What the blocks below the adapter make of an article: computed once in a phase, then read back.

Nothing that is learnt reaches these blocks, so that they say the same of an article in every step.
"""

import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from akd.console import say
from akd.models.architecture import captured, given
from akd.models.student import StudentOutput

T = TypeVar("T")

_GIB = 2**30


class FrozenCache:
    """The states that leave the last frozen block, in a nameless file that ends with the process.

    It fills while all articles are read, see `filling`, and at no other time: batches that are
    learnt from look it up alone, so that a phase that goes on after an interruption meets the same
    bytes. What does not fit as a whole is not kept, and the blocks compute in each step. What is
    kept was read without the dropout that the blocks of some models have.

    Args:
        blocks: of the model, from the lowest on.
        frozen: how many of the lowest are frozen: one at least, and not all.
        folder: on whose disk the file lies.
        limit_gib: how large it may become.
    """

    def __init__(self, blocks: nn.ModuleList, frozen: int, folder: Path, limit_gib: float) -> None:
        self._frozen = list(blocks[:frozen])
        self._above = blocks[frozen]
        self._limit = int(limit_gib * _GIB)
        self._end = 0  # of the file
        self._places: dict[bytes, tuple[int, torch.Size, torch.dtype]] = {}
        self._filling = False
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it lives as long as this
        weakref.finalize(self, self._file.close)

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Keep the states of what is read meanwhile."""
        self._filling = True
        try:
            yield
        finally:
            self._filling = False

    def beneath(
        self, forward: Callable[[torch.Tensor, torch.Tensor], T]
    ) -> Callable[[torch.Tensor, torch.Tensor], T]:
        """Return the forward pass of a batch; it begins above the frozen blocks, where it can.

        Args:
            forward: maps right-padded tokens (batch, length) and lengths (batch,), nothing but
                articles in their prompt, through the model to anything.
        """

        def read(tokens: torch.Tensor, lengths: torch.Tensor) -> T:
            keys = _keys(tokens, lengths)
            if all(key in self._places for key in keys):
                states = self._read(keys, tokens.shape[1]).to(tokens.device)
                with given(self._frozen, self._above, states):
                    return forward(tokens, lengths)
            if not self._filling:
                return forward(tokens, lengths)
            with captured(self._frozen[-1:]) as outputs:
                found = forward(tokens, lengths)
            self._keep(keys, outputs[0], lengths.tolist())
            return found

        return read

    def _keep(self, keys: Sequence[bytes], states: torch.Tensor, lengths: Sequence[int]) -> None:
        self._file.seek(self._end)
        for key, own, length in zip(keys, states.cpu(), lengths, strict=True):
            kept = own[:length].contiguous()
            self._places[key] = self._end, kept.shape, kept.dtype
            self._end += kept.nbytes
            if self._end > self._limit:
                say("frozen blocks compute in each step: see distill.frozen_cache_gib")
                self._places.clear()
                self._file.truncate(0)
                self._filling = False
                return
            self._file.write(kept.view(torch.uint8).numpy().data)

    def _read(self, keys: Sequence[bytes], width: int) -> torch.Tensor:
        """Return the states of these articles (batch, width, features), zero behind their ends."""
        _, shape, dtype = self._places[keys[0]]
        states = torch.zeros(len(keys), width, shape[1], dtype=dtype)
        for row, key in enumerate(keys):
            place, shape, dtype = self._places[key]
            self._file.seek(place)
            content = bytearray(self._file.read(shape.numel() * dtype.itemsize))
            states[row, : shape[0]] = torch.frombuffer(content, dtype=dtype).view(shape)
        return states


class CachedStudent(nn.Module):
    """A student whose frozen blocks compute nothing where their states are kept."""

    def __init__(self, student: nn.Module, cache: FrozenCache) -> None:
        super().__init__()
        self.student = student
        self._forward = cache.beneath(student)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> StudentOutput:
        """Read right-padded tokens (batch, length); what stands after a length is not seen."""
        output: StudentOutput = self._forward(tokens, lengths)
        return output


def _keys(tokens: torch.Tensor, lengths: torch.Tensor) -> list[bytes]:
    rows = zip(tokens.cpu().numpy(), lengths.tolist(), strict=True)
    return [row[:length].tobytes() for row, length in rows]
