"""Predictions of a student: class probabilities from its adapter folder."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from akd.console import bar
from akd.models.batching import batches_by_length, pad_right
from akd.models.student import StudentClassifier
from akd.prompts.reading import Reading


@torch.inference_mode()
def student_probabilities(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    reading: Reading,
    texts: Sequence[str],
    batch_size: int,
) -> NDArray[np.float64]:
    """Return class probabilities of the texts (n, labels)."""
    student = StudentClassifier(model, reading.label_tokens(tokenizer)).to(model.device).eval()
    sequences = reading.encode(texts, tokenizer)
    found = np.zeros((len(texts), len(reading.labels)))
    with bar(description="student", unit="article", total=len(texts)) as progress:
        for rows in batches_by_length(sequences, batch_size):
            tokens, lengths = pad_right(
                [sequences[row] for row in rows], int(tokenizer.pad_token_id)
            )
            logits = student(tokens.to(model.device), lengths.to(model.device))
            found[rows] = logits.double().softmax(-1).cpu().numpy()
            progress.update(len(rows))
    return found
