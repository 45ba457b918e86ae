"""The student while it learns: its classifier, and what it says of the articles right now."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from akd.distill.curriculum import Floats, Ints
from akd.distill.losses.classes import group_logits
from akd.distill.losses.vocabulary import Head, head_of
from akd.distill.readout import fit_readout
from akd.errors import InputError
from akd.models.batching import forward_all
from akd.models.student import (
    READOUT,
    LabelWordStudent,
    PooledStudent,
    Readout,
    article_mean,
    final_states,
    load_readout,
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
    """

    def __init__(
        self,
        language_model: PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        reading: Reading,
        texts: Sequence[str],
    ) -> None:
        self.language_model = language_model
        self.pad_token = int(tokenizer.pad_token_id)
        self.sequences = reading.encode(texts, tokenizer)
        self.readout: Readout | None = None
        self._tokenizer = tokenizer
        self._reading = reading

    def begin_reading(self, start: Path, probabilities: Floats) -> None:
        """Read classes off the mean state: with the readout found in `start`, else a fitted one.

        Args:
            start: the folder of the adapter before.
            probabilities: of the teacher (n, labels).
        """
        if (start / READOUT).is_file():
            self.readout = load_readout(start)
        else:
            self.fit_reading(probabilities)

    def fit_reading(self, probabilities: Floats) -> None:
        """Fit the readout to the mean states as they are now."""
        self.readout = fit_readout(self._mean_states(), probabilities)

    def classifier(self) -> LabelWordStudent | PooledStudent:
        """Return the student on its device; without a readout its label words are read."""
        student = self._reading.student(self.language_model, self._tokenizer, self.readout)
        return student.to(self.language_model.device)

    def cross_entropies(self, targets: Floats, groups: Sequence[int] | None, rows: Ints) -> Floats:
        """Return the cross-entropy (rows,) of what it says with the targets, in nats.

        Args:
            targets: distribution of the teacher (n, targets).
            groups: for each label its group, where the targets are of groups.
            rows: of the articles that are asked about.
        """
        student = self.classifier()
        found = self._forward(lambda *batch: student(*batch).logits, rows)
        logits = torch.from_numpy(found)
        grouped = logits if groups is None else group_logits(logits, groups)
        log_probabilities = grouped.double().log_softmax(-1).numpy()
        return np.asarray(-(targets[rows] * log_probabilities).sum(axis=1))

    def states(self) -> torch.Tensor:
        """Return the state that classes are read off of each article (n, width)."""
        student = self.classifier()
        found = self._forward(lambda *batch: student(*batch).state, np.arange(len(self.sequences)))
        return torch.from_numpy(found).to(self.language_model.device)

    def head(self) -> Head:
        """Return the output embeddings of the student, without rows that stand for no token.

        Raises:
            InputError: if the model bounds its logits, which losses on words do not.
        """
        base = cast(PreTrainedModel, self.language_model.get_base_model())
        if getattr(base.config, "final_logit_softcapping", None) is not None:
            raise InputError(
                f"{type(base).__name__} bounds its logits, which no loss on words follows: leave "
                "next_token and rationale out of `distill.phases`, or choose another student"
            )
        head = base.get_output_embeddings()  # type: ignore[no-untyped-call]
        return head_of(cast(nn.Linear, head), len(self._tokenizer))

    def _mean_states(self) -> NDArray[np.float32]:
        """Return the mean state of each article (n, width), which needs no readout."""
        before, after = self._reading.around(self._tokenizer)

        def mean(tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            return article_mean(final_states(self.language_model, tokens), lengths, before, after)

        return self._forward(mean, np.arange(len(self.sequences)))

    def _forward(
        self, forward: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], rows: Ints
    ) -> NDArray[np.float32]:
        """Return a row of figures for each asked article, as the student says them in use."""
        learning = self.language_model.training
        self.language_model.eval()
        found = forward_all(
            forward,
            [self.sequences[row] for row in rows],
            batch_size=_BATCH,
            pad_token=self.pad_token,
            device=self.language_model.device,
            description="student" if len(rows) == len(self.sequences) else None,
        )
        self.language_model.train(learning)
        return found
