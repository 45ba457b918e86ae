"""What the blocks below the adapter make of an article: computed once, then read back.

Nothing that is learnt reaches these blocks, so that they say the same of an article in every step,
and in every phase.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Self, TypeVar, cast

import torch
import transformers
from torch import nn
from transformers import PreTrainedModel

from akd.console import say
from akd.distill.kept_states import KeptStates
from akd.models.architecture import captured, given
from akd.models.student import StudentOutput

T = TypeVar("T")

_GIB = 2**30
_RECOMPUTED = "the frozen blocks compute in each step"


class FrozenCache:
    """The states that leave the last frozen block, in a file.

    It takes up what is read before the phase learns; once it is sealed it is looked up alone, so
    that a phase that goes on after an interruption meets the same bytes. What does not fit as a
    whole is not kept. The first batch is read twice, to see that the model says the same above
    what was kept: where its upper blocks need more from below, nothing is kept. Where it says the
    very same, to the last bit, other phases may read what this one has kept.

    Args:
        blocks: of the model, from the lowest on.
        frozen: how many of the lowest are frozen: one at least, and not all.
        folder: on whose disk the file lies.
        limit_gib: how large it may become.
    """

    def __init__(self, blocks: nn.ModuleList, frozen: int, folder: Path, limit_gib: float) -> None:
        self._frozen, self._learning = list(blocks[:frozen]), list(blocks[frozen:])
        self._limit = limit_gib * _GIB
        self._kept = KeptStates.nameless(folder)
        self._open = True
        self._exact = False
        self._shared: Path | None = None

    def share(
        self, model: PreTrainedModel, sequences: Iterable[Sequence[int]], folder: Path
    ) -> None:
        """Read what another phase has kept of the same, or keep it for the next ones.

        Args:
            model: whose blocks they are, with its adapter.
            sequences: the tokens of all articles.
            folder: for all that phases keep for one another.
        """
        self._shared = folder / self._name(model, sequences)
        found = KeptStates.published(self._shared)
        if found is not None and found.size <= self._limit:
            self._kept, self._open = found, False

    def _name(self, model: PreTrainedModel, sequences: Iterable[Sequence[int]]) -> str:
        """Return a hash of all that decides the states.

        It is of the weights that are not above them, the model's settings, articles and libraries.
        """
        parts = model.named_modules()
        above = tuple(f"{name}." for name, part in parts if part in self._learning)
        digest = blake2b(digest_size=16)
        for name, weight in model.state_dict().items():
            if not name.startswith(above):
                digest.update(name.encode())
                digest.update(weight.cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
        for tokens in sequences:
            digest.update(f"{list(tokens)}".encode())
        machine = f"{model.device.type} {torch.backends.cpu.get_cpu_capability()}"
        libraries = f"{torch.__version__} {transformers.__version__}"
        settings = f"{len(self._frozen)} {model.config} {machine} {libraries}"
        digest.update(settings.encode())
        return digest.hexdigest()

    def seal(self) -> None:
        """Take up nothing more."""
        if self._open and self._exact and self._shared is not None:
            self._kept.publish(self._shared)
            self._kept = KeptStates.published(self._shared) or self._kept  # once is enough
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
            if all(key in self._kept for key in keys):
                return self._above_kept(forward, keys, tokens, lengths)
            if not self._open:
                return forward(tokens, lengths)
            with captured(self._frozen[-1:]) as outputs:
                found = forward(tokens, lengths)
            first = not len(self._kept)
            self._keep(keys, outputs[0], lengths.tolist())
            if first and self._open:
                self._prove(lambda: self._above_kept(forward, keys, tokens, lengths), found)
            return found

        return read

    def _above_kept(
        self,
        forward: Callable[[torch.Tensor, torch.Tensor], T],
        keys: Sequence[str],
        tokens: torch.Tensor,
        lengths: torch.Tensor,
    ) -> T:
        states = self._kept.read(keys, tokens.shape[1]).to(tokens.device)
        with given(self._frozen, self._learning[0], states):
            return forward(tokens, lengths)

    def _prove(self, again: Callable[[], object], found: object) -> None:
        """Keep nothing where the model says something else above what is kept, or nothing."""
        try:
            said = again()
            torch.testing.assert_close(said, found, rtol=1e-2, atol=1e-3)
        except Exception as error:  # whatever it is that such a model cannot do
            reason = type(error).__name__
            self._give_up(f"{_RECOMPUTED}: what stands above them needs more ({reason})")
        else:
            both = isinstance(said, torch.Tensor) and isinstance(found, torch.Tensor)
            self._exact = both and torch.equal(cast(torch.Tensor, said), cast(torch.Tensor, found))

    def _give_up(self, why: str) -> None:
        say(why)
        self._kept.clear()
        self._open = False

    def _keep(self, keys: Sequence[str], states: torch.Tensor, lengths: Sequence[int]) -> None:
        if len(states) != len(keys) or states.dim() != 3:
            self._give_up(f"{_RECOMPUTED}: they do not give one vector for each token")
            return
        for key, own, length in zip(keys, states.cpu(), lengths, strict=True):
            kept = own[:length].contiguous()
            if self._kept.size + kept.nbytes > self._limit:
                self._give_up(f"{_RECOMPUTED}: their states exceed distill.frozen_cache_gib")
                return
            self._kept.add(key, kept)


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


def _keys(tokens: torch.Tensor, lengths: torch.Tensor) -> list[str]:
    rows = zip(tokens.cpu().numpy(), lengths.tolist(), strict=True)
    return [blake2b(row[:length].tobytes(), digest_size=16).hexdigest() for row, length in rows]
