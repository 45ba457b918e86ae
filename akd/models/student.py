"""The student as a classifier."""

from collections.abc import Sequence
from typing import cast

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel

from akd.models.architecture import class_logits


class StudentClassifier(nn.Module):
    """A language model with an adapter, read at the decision position over the label tokens."""

    def __init__(self, language_model: PeftModel, label_tokens: Sequence[int]) -> None:
        super().__init__()
        self.language_model = language_model
        self.label_tokens: torch.Tensor
        self.register_buffer("label_tokens", torch.tensor(label_tokens), persistent=False)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return class logits (batch, labels) of right-padded tokens (batch, length)."""
        base = cast(PreTrainedModel, self.language_model.get_base_model())
        hidden: torch.Tensor = base.base_model(tokens, use_cache=False).last_hidden_state
        decision = hidden[torch.arange(len(lengths), device=hidden.device), lengths - 1]
        return class_logits(base, decision, self.label_tokens)
