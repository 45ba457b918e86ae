"""Embeddings from the middle of a language model: the mean state of a text."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from akd.console import bar
from akd.models.architecture import keep_blocks
from akd.models.batching import batches_by_length, pad_right
from akd.models.scoring import mean_over
from akd.models.truncation import truncated


class MiddleLayerEmbedder:
    """Embeds texts by the mean state after the first `layers` blocks; the rest is cut off.

    The model is changed in place.
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

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return one vector for each text (n, width)."""
        sequences = truncated(texts, self._tokenizer, self._text_tokens)
        vectors = np.zeros((len(texts), self._model.config.hidden_size))
        with bar(description="embed", unit="article", total=len(texts)) as progress:
            for rows in batches_by_length(sequences, self._batch_size):
                tokens, lengths = pad_right(
                    [sequences[row] for row in rows], int(self._tokenizer.pad_token_id)
                )
                states = self._model.base_model(tokens.to(self._model.device)).last_hidden_state
                inside = torch.arange(tokens.shape[1]) < lengths[:, None]
                vectors[rows] = mean_over(states, inside.to(states.device)).cpu().numpy()
                progress.update(len(rows))
        return vectors
