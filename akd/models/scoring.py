"""Scoring: one forward pass over each text gives class scores and hidden states.

A label of several tokens costs further steps on the keys and values of that pass: the labels are
walked as a trie, so that what two of them begin with is read once.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from akd.console import bar
from akd.models.architecture import captured, class_logits, finished, transformer_blocks
from akd.models.batching import batches_of_width
from akd.models.continuation import Passage, Prefix, filled_rows, stepped_rows
from akd.models.load import vocabulary_of
from akd.models.truncation import check_room, truncated
from akd.records import Scores

_HEAD_ROWS = 4  # few enough to waste little, more than one: a kernel for one row sums otherwise
_FEW = 64  # texts that need no progress bar of their own


class TextScorer:
    """Scores texts that stand between the same tokens, whose keys and values are computed once.

    What a text gets depends on nothing else in the list, nor on the order, bit for bit: each text
    is padded to a width that follows from its own length, the head multiplies `_HEAD_ROWS` rows at
    a time, and on CUDA, where kernels are chosen by the number of rows, every batch has
    `batch_size` rows (`filled_rows`). On a CPU the number of rows changes nothing, except where
    labels are walked token by token: there every batch has `stepped_rows` rows. Measured with
    SmolLM2-135M on AVX-512, one and two threads: with widths of the batch's making bfloat16 moves a
    log-probability by up to 0.1; with the text's own it is bit-equal for 1 to 32 rows, bfloat16
    and float32. On CUDA it is the design, not yet a measurement.

    Args:
        model: a causal language model in evaluation mode.
        tokenizer: its tokenizer.
        before: tokens before each text (instruction and demonstrations).
        after: tokens after each text (the cue); the last one is the decision position.
        labels: the tokens of each label; none begins another.
        text_tokens: how many tokens of a text are read.
        batch_size: texts in one forward pass.
        layers: 1-based numbers of the blocks whose states are averaged over the text.

    Raises:
        InputError: if prompt and text together do not fit into the model's context.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        before: Sequence[int],
        after: Sequence[int],
        labels: Sequence[Sequence[int]],
        text_tokens: int,
        batch_size: int,
        layers: Sequence[int],
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._after = list(after)
        self._labels = [tuple(label) for label in labels]
        self._branches = branches(self._labels)
        self._vocabulary = vocabulary_of(tokenizer)
        # What leaves the last block may be narrower than the blocks are (OPT-350M).
        self._width = int(model.get_output_embeddings().weight.shape[1])
        self._block_width = int(model.config.hidden_size)
        self._text_tokens = text_tokens
        walks = len(self._branches) > 1
        self._filled = stepped_rows(batch_size) if walks else filled_rows(batch_size)
        self._batch_size = self._filled or batch_size
        self._blocks = [transformer_blocks(model)[layer - 1] for layer in layers]
        context = context_of(model.config)
        deepest = max(map(len, self._branches))
        check_room(len(before), text_tokens, len(after) + deepest, context)
        self._widest = None if context is None else context - len(before)
        self._prefix = Prefix(model, before, int(tokenizer.pad_token_id))

    @torch.inference_mode()
    def score(self, texts: Sequence[str]) -> Scores:
        """Score the texts, each as if it were alone."""
        texts_tokens = truncated(texts, self._tokenizer, self._text_tokens)
        log_probabilities = np.empty((len(texts), len(self._labels)), np.float32)
        decision = np.empty((len(texts), self._width), np.float32)
        states = np.empty((len(texts), len(self._blocks), self._block_width), np.float32)
        sequences = [tokens + self._after for tokens in texts_tokens]
        shown, total = len(texts) > _FEW, len(texts)
        with bar(description="read", unit="article", total=total, shown=shown) as progress:
            for wide, rows in batches_of_width(sequences, self._batch_size, self._widest):
                filled = rows + rows[-1:] * ((self._filled or 0) - len(rows))
                spans = torch.tensor([len(texts_tokens[row]) for row in filled])
                passage, pooled = self._read([sequences[row] for row in filled], spans, wide)
                count = len(rows)
                decision[rows] = passage.last[:count].float().cpu().numpy()
                states[rows] = pooled[:count]
                said = self._label_log_probabilities(passage)[:count]
                log_probabilities[rows] = said.cpu().numpy()
                progress.update(count)
        return Scores(log_probabilities, decision, states)

    def _read(
        self, sequences: list[list[int]], spans: torch.Tensor, width: int
    ) -> tuple[Passage, NDArray[np.float32]]:
        """Return what was read and pooled states (batch, blocks, width)."""
        with captured(self._blocks) as outputs:
            passage = self._prefix.read(sequences, width)
        inside = torch.arange(width) < spans[:, None]
        pooled = np.empty((len(sequences), len(outputs), self._block_width), np.float32)
        for position, block_states in enumerate(outputs):
            behind = block_states[:, -width:]  # where the prefix is read anew it stands before
            pooled[:, position] = mean_over(behind, inside.to(behind.device)).cpu()
        return passage, pooled

    def _label_log_probabilities(self, passage: Passage) -> torch.Tensor:
        """Return log-probabilities (batch, labels): the sum over each label's tokens."""
        found: dict[tuple[int, ...], torch.Tensor] = {}
        steps: dict[tuple[int, ...], int] = {}
        for beginning, tokens in self._branches.items():
            states = passage.last
            if beginning:
                before = [steps[beginning[:length]] for length in range(1, len(beginning))]
                states = passage.step(torch.full((len(states),), beginning[-1]), before)
                steps[beginning] = len(steps)
            said = self._token_log_probabilities(states, tokens)
            for column, token in enumerate(tokens):
                alone = said[:, column]
                found[*beginning, token] = found[beginning] + alone if beginning else alone
        return torch.stack([found[label] for label in self._labels], dim=1)

    def _token_log_probabilities(self, states: torch.Tensor, tokens: Sequence[int]) -> torch.Tensor:
        """Return log-probabilities (batch, tokens) over the whole vocabulary."""
        head, found = self._model.get_output_embeddings(), []
        wanted = torch.tensor(tokens, device=states.device)
        for start in range(0, len(states), _HEAD_ROWS):
            rows = states[start : start + _HEAD_ROWS]
            filled = torch.cat([rows, rows[-1:].expand(_HEAD_ROWS - len(rows), -1)])
            vocabulary = finished(self._model, head(filled)[:, : self._vocabulary])
            partition: torch.Tensor = vocabulary.logsumexp(-1, keepdim=True)
            logits = class_logits(self._model, filled, wanted)
            found.append((logits - partition)[: len(rows)])
        return torch.cat(found)


def branches(labels: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], list[int]]:
    """Return the trie of the labels: each beginning, the shorter first, and what follows it."""
    found: dict[tuple[int, ...], list[int]] = {}
    for length in range(max(map(len, labels))):
        for label in labels:
            if length < len(label):
                following = found.setdefault(label[:length], [])
                if label[length] not in following:
                    following.append(label[length])
    return found


def context_of(config: PretrainedConfig) -> int | None:
    """Return how many tokens a model can read; None where its positions have no end."""
    context: int | None = getattr(config, "max_position_embeddings", None)
    return context


def mean_over(states: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Average states (batch, length, width) over the positions where `inside` holds, in float32."""
    weights = inside.float()[:, :, None]
    return (states.float() * weights).sum(1) / weights.sum(1).clamp(min=1)
