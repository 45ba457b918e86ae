"""Embeddings from the middle of a language model: the mean state of a text."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from akd.models.architecture import keep_blocks
from akd.models.batching import forward_all
from akd.models.scoring import mean_over
from akd.models.truncation import truncated


class MiddleLayerEmbedder:
    """Embeds texts by the mean state after the first `layers` blocks; those above are cut off.

    The model's final norm stays, and evens out what single dimensions have grown to. The model is
    changed in place.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        layers: int,
        text_tokens: int,
        batch_size: int,
    ) -> None:
        keep_blocks(model, range(layers))
        self._model = model
        self._tokenizer = tokenizer
        self._text_tokens = text_tokens
        self._batch_size = batch_size

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return one vector for each text (n, width)."""
        vectors = forward_all(
            self._mean,
            truncated(texts, self._tokenizer, self._text_tokens),
            batch_size=self._batch_size,
            pad_token=int(self._tokenizer.pad_token_id),
            device=self._model.device,
            description="embed",
        )
        return vectors.astype(np.float64)

    def _mean(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        states = self._model.base_model(tokens).last_hidden_state
        inside = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
        return mean_over(states, inside)
