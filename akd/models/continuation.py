"""Texts behind one prefix, read once, and gone on with on the keys and values of that reading."""

import copy
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from akd.models.batching import pad_right
from akd.models.load import device

_STEP_ROWS = 8  # few enough for any machine; a kernel for one row sums otherwise than one for many


class Prefix:
    """Tokens before every text, whose keys and values are computed once.

    Args:
        model: a causal language model in evaluation mode.
        before: the tokens; may be none.
        pad_token: stands after the shorter texts of a batch.
    """

    def __init__(self, model: PreTrainedModel, before: Sequence[int], pad_token: int) -> None:
        self._model = model
        self._length = len(before)
        self._pad_token = pad_token
        self._cache: Cache | None = None
        if before:
            with torch.inference_mode():
                tokens = torch.tensor([list(before)], device=model.device)
                self._cache = model.base_model(tokens, use_cache=True).past_key_values

    def read(self, sequences: Sequence[Sequence[int]], width: int) -> "Passage":
        """Read the tokens of some texts, padded on the right to `width`, in one forward pass."""
        tokens, lengths = pad_right(sequences, self._pad_token, width)
        cache = copy.deepcopy(self._cache)
        if cache is not None:
            cache.batch_repeat_interleave(len(sequences))
        output = self._model.base_model(
            tokens.to(self._model.device), past_key_values=cache, use_cache=True
        )
        return Passage(
            self._model,
            output.past_key_values,
            output.last_hidden_state,
            lengths.to(self._model.device),
            self._length,
        )


class Passage:
    """A batch of texts that a model has read, and can go on with.

    Attributes:
        hidden: states after the final norm (batch, padded length, width).
        last: that of the last token of each text (batch, width).
    """

    def __init__(
        self,
        model: PreTrainedModel,
        cache: Cache,
        hidden: torch.Tensor,
        lengths: torch.Tensor,
        before: int,
    ) -> None:
        self._model = model
        self._cache = cache
        self._ends = lengths + before
        self._read = hidden.shape[1] + before  # with the padding
        self.hidden = hidden
        last = (lengths - 1).to(hidden.device)  # the last block may lie elsewhere than the first
        self.last = hidden[torch.arange(len(last), device=hidden.device), last]

    def step(self, tokens: torch.Tensor, after: Sequence[int]) -> torch.Tensor:
        """Read one more token of each text and return its states (batch, width).

        Args:
            tokens: one for each text (batch,).
            after: numbers of the earlier steps whose tokens stand between text and token, in
                their order; the others are not seen, so that several branches share one reading.
        """
        seen = torch.zeros(
            (len(self._ends), self._cache.get_seq_length() + 1),
            dtype=torch.bool,
            device=self._ends.device,
        )
        seen[:, : self._read] = torch.arange(self._read, device=seen.device) < self._ends[:, None]
        seen[:, [*(self._read + step for step in after), -1]] = True
        # Four axes and not two: the library leaves out a mask of two that hides nothing, so that
        # a text's company would choose the kernel.
        dtype = self.hidden.dtype
        hide = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
        hide.masked_fill_(~seen, torch.finfo(dtype).min)
        output = self._model.base_model(
            tokens[:, None].to(self._model.device),
            attention_mask=hide[:, None, None],
            position_ids=(self._ends + len(after))[:, None],
            past_key_values=self._cache,
            use_cache=True,
        )
        states: torch.Tensor = output.last_hidden_state[:, 0]
        return states


def filled_rows(batch_size: int) -> int | None:
    """Return how many rows every batch has on this machine; None where their number is free."""
    return batch_size if device().type == "cuda" else None


def stepped_rows(batch_size: int) -> int:
    """Return how many rows every batch has that is gone on with, one token a row and step."""
    return filled_rows(batch_size) or _STEP_ROWS
