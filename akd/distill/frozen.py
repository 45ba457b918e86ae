"""What the blocks below the adapter make of an article: computed once in a phase, then read back.

Nothing that is learnt reaches these blocks, so that they say the same of an article in every step.
"""

import tempfile
import weakref
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Self, TypeVar

import torch
from torch import nn

from akd.console import say
from akd.errors import InputError
from akd.models.architecture import captured, given
from akd.models.student import StudentOutput

T = TypeVar("T")

_GIB = 2**30
_RECOMPUTED = "the frozen blocks compute in each step"


class FrozenCache:
    """The states that leave the last frozen block, in a nameless file that ends with the process.

    It takes up what is read before the phase learns; once it is sealed it is looked up alone, so
    that a phase that goes on after an interruption meets the same bytes. What does not fit as a
    whole is not kept. The first batch is read twice, to see that the model says the same above
    what was kept: where its upper blocks need more from below, nothing is kept.

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
        self._open = True
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - lives as long as this
        weakref.finalize(self, self._file.close)

    def seal(self) -> None:
        """Take up nothing more."""
        self._open = False

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
                return self._above_kept(forward, keys, tokens, lengths)
            if not self._open:
                return forward(tokens, lengths)
            with captured(self._frozen[-1:]) as outputs:
                found = forward(tokens, lengths)
            first = not self._places
            self._keep(keys, outputs[0], lengths.tolist())
            if first and self._open:
                self._prove(lambda: self._above_kept(forward, keys, tokens, lengths), found)
            return found

        return read

    def _above_kept(
        self,
        forward: Callable[[torch.Tensor, torch.Tensor], T],
        keys: Sequence[bytes],
        tokens: torch.Tensor,
        lengths: torch.Tensor,
    ) -> T:
        states = self._read(keys, tokens.shape[1]).to(tokens.device)
        with given(self._frozen, self._above, states):
            return forward(tokens, lengths)

    def _prove(self, again: Callable[[], object], found: object) -> None:
        """Keep nothing where the model says something else above what is kept, or nothing."""
        try:
            torch.testing.assert_close(again(), found, rtol=1e-2, atol=1e-3)
        except Exception as error:  # whatever it is that such a model cannot do
            reason = type(error).__name__
            self._give_up(f"{_RECOMPUTED}: what stands above them needs more ({reason})")

    def _give_up(self, why: str) -> None:
        say(why)
        self._places.clear()
        self._file.truncate(0)
        self.seal()

    def _keep(self, keys: Sequence[bytes], states: torch.Tensor, lengths: Sequence[int]) -> None:
        if len(states) != len(keys) or states.dim() != 3:
            self._give_up(f"{_RECOMPUTED}: they do not give one vector for each token")
            return
        for key, own, length in zip(keys, states.cpu(), lengths, strict=True):
            kept = own[:length].contiguous()
            if self._end + kept.nbytes > self._limit:
                self._give_up(f"{_RECOMPUTED}: their states exceed distill.frozen_cache_gib")
                return
            self._write(kept)
            self._places[key] = self._end, kept.shape, kept.dtype
            self._end += kept.nbytes

    def _write(self, kept: torch.Tensor) -> None:
        content = memoryview(kept.view(torch.uint8).numpy().tobytes())
        try:
            self._file.seek(self._end)
            while content:
                content = content[self._file.write(content) :]
        except OSError as error:
            raise InputError(
                f"the states of frozen blocks cannot be kept on disk ({error.strerror}): lower "
                "distill.frozen_cache_gib, with 0 they are computed in each step"
            ) from None

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


class Learner(nn.Module):
    """A student that learns above its frozen blocks; these, and what feeds them, stay as in use.

    Some models have dropout there, which would move what is the same in every step.

    Args:
        student: maps tokens and lengths to a `StudentOutput`.
        learning: the blocks above.
        cache: of the states below; None where they are computed in each step.
    """

    def __init__(
        self, student: nn.Module, learning: Sequence[nn.Module], cache: FrozenCache | None
    ) -> None:
        super().__init__()
        self.student = student
        self._learning = list(learning)
        self._cache = cache

    def train(self, mode: bool = True) -> Self:
        """Let the blocks that learn have their dropout, or not."""
        super().train(False)
        self.training = mode
        for block in self._learning:
            block.train(mode)
        return self

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> StudentOutput:
        """Read right-padded tokens (batch, length); what stands after a length is not seen."""
        read = self.student if self._cache is None else self._cache.beneath(self.student)
        output: StudentOutput = read(tokens, lengths)
        return output


def _keys(tokens: torch.Tensor, lengths: torch.Tensor) -> list[bytes]:
    rows = zip(tokens.cpu().numpy(), lengths.tolist(), strict=True)
    return [blake2b(row[:length].tobytes(), digest_size=16).digest() for row, length in rows]
