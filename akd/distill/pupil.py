"""The student while it learns: its classifier, and what it says of the articles right now."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from akd.distill.curriculum import Goal, Ints
from akd.distill.frozen import FrozenCache
from akd.distill.losses.vocabulary import Head, head_of
from akd.distill.readout import fit_readout
from akd.errors import InputError
from akd.models.architecture import head_is_last, transformer_blocks
from akd.models.batching import forward_all
from akd.models.load import vocabulary_of
from akd.models.student import (
    READOUT,
    LabelWordStudent,
    PooledStudent,
    Readout,
    article_features,
    final_states,
    load_readout,
    read_blocks,
)
from akd.prompts.reading import Reading

_BATCH = 16  # articles in one forward pass without gradients


class Pupil:
    """A student and the articles that it learns from.

    Args:
        language_model: with its adapter.
        tokenizer: of the student.
        reading: how it reads an article.
        texts: of all articles (n).
        cache: of its frozen blocks; None where they compute each time.
    """

    def __init__(
        self,
        language_model: PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        reading: Reading,
        texts: Sequence[str],
        cache: FrozenCache | None = None,
    ) -> None:
        self.language_model = language_model
        self.cache = cache
        self.pad_token = int(tokenizer.pad_token_id)
        self.sequences = reading.encode(texts, tokenizer)
        self.readout: Readout | None = None
        self._fitted_to: NDArray[np.float32] | None = None
        self.tokenizer = tokenizer
        self.reading = reading

    def begin_reading(self, start: Path, goal: Goal) -> None:
        """Read classes off the article's features: with the readout in `start`, else a fitted one.

        Args:
            start: the folder of the adapter before.
            goal: what it is fitted to.
        """
        if (start / READOUT).is_file():
            self.readout = load_readout(start)
        else:
            self._fitted_to = self.fit_reading(goal)

    def fit_reading(self, goal: Goal) -> NDArray[np.float32]:
        """Fit the readout to features as they are now; return these, of all articles."""
        features = self.features()
        self.readout = fit_readout(features[goal.rows], goal.probabilities[goal.rows])
        return features

    @cached_property
    def first_logits(self) -> NDArray[np.float32]:
        """What it says of each article (n, labels) before it learns; ask before it does.

        The articles are not read again where the readout was fitted to them just now.
        """
        if self._fitted_to is None:
            return self.logits(np.arange(len(self.sequences)))
        with torch.inference_mode():
            found: torch.Tensor = cast(Readout, self.readout)(torch.from_numpy(self._fitted_to))
        return found.numpy()

    def logits(self, rows: Ints) -> NDArray[np.float32]:
        """Return what it says now of the articles of these rows (rows, labels)."""
        student = self.classifier()
        return self._forward(lambda *batch: student(*batch).logits, rows)

    def classifier(self) -> LabelWordStudent | PooledStudent:
        """Return the student on its device; without a readout its label words are read."""
        student = self.reading.student(self.language_model, self.tokenizer, self.readout)
        return student.to(self.language_model.device)

    def states(self) -> torch.Tensor:
        """Return the final state of each article, see `StudentOutput` (n, width)."""
        student = self.classifier()
        found = self._forward(lambda *batch: student(*batch).state, np.arange(len(self.sequences)))
        return torch.from_numpy(found).to(self.language_model.device)

    def block_means(self, layers: Sequence[int]) -> torch.Tensor:
        """Return mean states (n, layers, width) of the blocks of these 1-based numbers."""
        student, blocks, around = self.classifier(), self.blocks(layers), self.around()

        def means(tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            return read_blocks(student, blocks, tokens, lengths, *around)[1]

        return torch.from_numpy(self._forward(means, np.arange(len(self.sequences))))

    def depth(self) -> int:
        """Return how many blocks the student has."""
        return len(transformer_blocks(self.base()))

    def blocks(self, layers: Sequence[int]) -> list[nn.Module]:
        """Return the blocks of these 1-based numbers."""
        return [transformer_blocks(self.base())[layer - 1] for layer in layers]

    def around(self) -> tuple[int, int]:
        """Return how many tokens stand before and after each article."""
        return self.reading.around(self.tokenizer)

    def head(self) -> Head:
        """Return the output embeddings of the student, without rows that stand for no token.

        Raises:
            InputError: if the model bounds or scales its logits, which losses on words do not.
        """
        return words_head(self.base(), self.tokenizer)

    def base(self) -> PreTrainedModel:
        """Return the model that bears the adapter."""
        return cast(PreTrainedModel, self.language_model.get_base_model())

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let the student be as it is in use, without dropout, and then learn on."""
        learning = [module for module in self.language_model.modules() if module.training]
        self.language_model.eval()
        try:
            yield
        finally:
            for module in learning:
                module.training = True

    def features(self) -> NDArray[np.float32]:
        """Return what classes are read off of each article (n, features); it needs no readout."""
        model, (before, after) = self.language_model, self.around()

        def read(tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            hidden = final_states(model, tokens)
            return article_features(model, tokens, hidden, lengths, before, after)

        return self._forward(read, np.arange(len(self.sequences)))

    def _forward(
        self, forward: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], rows: Ints
    ) -> NDArray[np.float32]:
        """Return a row of figures for each asked article, as the student says them in use.

        Raises:
            InputError: if some are not finite.
        """
        with self.in_use():
            found = forward_all(
                forward if self.cache is None else self.cache.beneath(forward),
                [self.sequences[row] for row in rows],
                batch_size=_BATCH,
                pad_token=self.pad_token,
                device=self.language_model.device,
                description="student" if len(rows) == len(self.sequences) else None,
            )
        if not np.isfinite(found).all():
            raise InputError(
                "what the student makes of the articles is no longer finite: lower "
                "optimizer.learning_rate, or set AKD_DTYPE=float32 if it is float16"
            )
        return found


def words_head(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Head:
    """Return the output embeddings of a model, without rows that stand for no token.

    Raises:
        InputError: if the model bounds or scales its logits, which losses on words do not.
    """
    if not head_is_last(model.config):
        raise InputError(
            f"{type(model).__name__} bounds or scales its logits, which no loss on words follows: "
            "leave next_token, rationale and minillm out of `distill.phases`, or take another model"
        )
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return head_of(cast(nn.Linear, head), vocabulary_of(tokenizer))
