"""Texts behind one prefix, read once, and gone on with on the keys and values of that reading."""

import copy
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from akd.errors import InputError
from akd.models.architecture import keeps_keys_and_values
from akd.models.batching import pad_right
from akd.models.load import device

_BY_ORDER = ("bloom", "mpt", "gpt_neo")
_STEP_ROWS = 8  # few enough for any machine; a kernel for one row sums otherwise than one for many


class Prefix:
    """Tokens before every text, whose keys and values are computed once.

    A model that keeps something else of what it has read (Mamba, LFM2, Qwen3-Next) reads them anew
    before each text.

    Args:
        model: a causal language model in evaluation mode.
        before: the tokens; may be none.
        pad_token: stands after the shorter texts of a batch.
    """

    def __init__(self, model: PreTrainedModel, before: Sequence[int], pad_token: int) -> None:
        self._model = model
        self._before = list(before)
        self._pad_token = pad_token
        self._cache: DynamicCache | None = None
        self._read_once = keeps_keys_and_values(model)
        if before and self._read_once:
            with torch.inference_mode():
                tokens = torch.tensor([self._before], device=model.device)
                read = model.base_model(tokens, past_key_values=DynamicCache(), use_cache=True)
                self._cache = read.past_key_values

    def read(self, sequences: Sequence[Sequence[int]], width: int) -> "Passage":
        """Read the tokens of some texts, padded on the right to `width`, in one forward pass."""
        if not self._read_once:
            return self._read_anew(sequences, width)
        tokens, lengths = pad_right(sequences, self._pad_token, width)
        # One that keeps every position, also where the model's own forgets what left its window.
        cache = DynamicCache() if self._cache is None else copy.deepcopy(self._cache)
        if self._cache is not None:
            cache.batch_repeat_interleave(len(sequences))
        output = self._model.base_model(
            tokens.to(self._model.device), past_key_values=cache, use_cache=True
        )
        return self._passage(output.past_key_values, output.last_hidden_state, lengths)

    def _read_anew(self, sequences: Sequence[Sequence[int]], width: int) -> "Passage":
        whole = [[*self._before, *sequence] for sequence in sequences]
        tokens, lengths = pad_right(whole, self._pad_token, len(self._before) + width)
        output = self._model.base_model(tokens.to(self._model.device), use_cache=False)
        behind = output.last_hidden_state[:, len(self._before) :]
        return self._passage(None, behind, lengths - len(self._before))

    def _passage(
        self, cache: DynamicCache | None, hidden: torch.Tensor, lengths: torch.Tensor
    ) -> "Passage":
        lengths = lengths.to(self._model.device)
        return Passage(self._model, cache, hidden, lengths, len(self._before))


class Passage:
    """A batch of texts that a model has read, and can go on with.

    Attributes:
        hidden: states after the final norm (batch, padded length, width).
        last: that of the last token of each text (batch, width).
    """

    def __init__(
        self,
        model: PreTrainedModel,
        cache: DynamicCache | None,
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

        Raises:
            InputError: if the model cannot branch off.
        """
        cache = self._branching_cache()
        place = self._ends + len(after)
        output = self._model.base_model(
            tokens[:, None].to(self._model.device),
            attention_mask=self._masks(after, place, cache.get_seq_length()),
            position_ids=place[:, None],
            past_key_values=cache,
            use_cache=True,
        )
        states: torch.Tensor = output.last_hidden_state[:, 0]
        return states

    def _branching_cache(self) -> DynamicCache:
        config = self._model.config
        # These tell how far apart tokens are by their order in the cache, whatever their places.
        by_order = config.model_type in _BY_ORDER or getattr(config, "alibi", False)
        if self._cache is None or by_order:
            raise InputError(
                f"a {config.model_type} cannot go on with what it has read in several ways: name "
                "label words in task.yaml that begin with different tokens, and leave reasons and "
                "minillm out, or choose another model"
            )
        return self._cache

    def _masks(
        self, after: Sequence[int], place: torch.Tensor, kept: int
    ) -> torch.Tensor | dict[str, torch.Tensor]:
        """Return what the token at `place` sees; by kind of layer where some have a window."""
        columns = [*(self._read + step for step in after), -1]
        shape = (len(place), kept + 1)
        seen = torch.zeros(shape, dtype=torch.bool, device=place.device)
        seen[:, : self._read] = torch.arange(self._read, device=place.device) < self._ends[:, None]
        seen[:, columns] = True
        kinds, window = self._kinds_of_layers()
        if window is None:
            return self._hiding(~seen)
        places = torch.arange(shape[1], device=place.device).repeat(len(place), 1)
        places[:, columns] = self._ends[:, None] + torch.arange(len(columns), device=place.device)
        near = self._hiding(~(seen & (place[:, None] - places < window)))
        if not kinds:
            return near
        return {"full_attention": self._hiding(~seen), "sliding_attention": near}

    def _kinds_of_layers(self) -> tuple[Sequence[str], int | None]:
        """Return the kinds of layers, none where all are alike, and the window that some have."""
        kinds: Sequence[str] = getattr(self._model.config, "layer_types", None) or []
        window: int | None = getattr(self._model.config, "sliding_window", None)
        return kinds, window if not kinds or "sliding_attention" in kinds else None

    def _hiding(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return an additive mask that hides these positions (batch, positions).

        It has four axes and not two: the library leaves out a mask of two that hides nothing, so
        that a text's company would choose the kernel.
        """
        dtype = self.hidden.dtype
        mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
        return mask.masked_fill_(hidden, torch.finfo(dtype).min)[:, None, None]


def filled_rows(batch_size: int) -> int | None:
    """Return how many rows every batch has on this machine; None where their number is free."""
    return batch_size if device().type == "cuda" else None


def stepped_rows(batch_size: int) -> int:
    """Return how many rows every batch has that is gone on with, one token a row and step."""
    return filled_rows(batch_size) or _STEP_ROWS
