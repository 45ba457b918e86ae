"""The student as a classifier: two ways to read class logits off a language model.

`LabelWordStudent` reads it as it is: at the decision position, over the label words. A student cut
out of its teacher's first layers has not yet worked out the next word there, while the means over
the article of its word embeddings (which words there are) and of its final states (what it makes of
them) tell the classes apart linearly: `PooledStudent` reads those.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel

from akd.errors import InputError
from akd.io import read_tensors, write_tensors
from akd.models.architecture import captured, class_logits
from akd.models.scoring import context_of, mean_over

READOUT = "readout.safetensors"


class StudentOutput(NamedTuple):
    """What a student says of a batch.

    Attributes:
        logits: of the classes (batch, labels) in float32.
        state: final state at the decision position, or its mean over the article (batch, width).
        hidden: final states of all positions (batch, length, width).
        filtered: what its task-aware filters pass (batch, layers, filtered); None without filters.
    """

    logits: torch.Tensor
    state: torch.Tensor
    hidden: torch.Tensor
    filtered: torch.Tensor | None = None


class Readout(nn.Module):
    """A linear classifier on the features of an article, trained with the adapter.

    Args:
        center: of the features (features,).
        scale: what they are divided by (features,). It holds the root of their number, so that one
            step of an optimiser moves the logits as far as it moves one weight, however wide the
            model is.
        weight, bias: (labels, features) and (labels,).
    """

    def __init__(
        self, center: torch.Tensor, scale: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> None:
        super().__init__()
        self.center: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("center", center)
        self.register_buffer("scale", scale)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return class logits (batch, labels) of features (batch, features), in float32."""
        standardised = (features.float() - self.center) / self.scale
        return nn.functional.linear(standardised, self.weight, self.bias)


def parameters_of(readout: Readout) -> int:
    """Return how many weights a readout has."""
    return sum(weight.numel() for weight in readout.parameters())


def save_readout(readout: Readout, folder: Path) -> None:
    """Write the readout beside an adapter."""
    write_tensors(folder / READOUT, readout.state_dict())


def load_readout(folder: Path) -> Readout:
    """Read the readout of an adapter's folder.

    Raises:
        InputError: if there is none.
    """
    return Readout(**read_tensors(folder / READOUT))


class LabelWordStudent(nn.Module):
    """A language model read at the decision position over the label tokens."""

    def __init__(self, language_model: PeftModel, label_tokens: Sequence[int]) -> None:
        super().__init__()
        self.language_model = language_model
        self.label_tokens: torch.Tensor
        self.register_buffer("label_tokens", torch.tensor(label_tokens), persistent=False)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> StudentOutput:
        """Read right-padded tokens (batch, length); what stands after a length is not seen."""
        hidden = final_states(self.language_model, tokens)
        decision = hidden[torch.arange(len(lengths), device=hidden.device), lengths - 1]
        base = cast(PreTrainedModel, self.language_model.get_base_model())
        return StudentOutput(class_logits(base, decision, self.label_tokens), decision, hidden)


class PooledStudent(nn.Module):
    """A language model read by a linear readout of what it makes of the article.

    Args:
        language_model: with its adapter.
        before, after: how many tokens stand before and after the article.
        readout: from the features of the article to class logits, see `article_features`.
    """

    def __init__(
        self, language_model: PeftModel, *, before: int, after: int, readout: Readout
    ) -> None:
        super().__init__()
        self.language_model = language_model
        self.readout = readout
        self._before = before
        self._after = after

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> StudentOutput:
        """Read right-padded tokens (batch, length); what stands after a length is not seen."""
        hidden = final_states(self.language_model, tokens)
        features = article_features(
            self.language_model, tokens, hidden, lengths, self._before, self._after
        )
        return StudentOutput(self.readout(features), features[:, -hidden.shape[-1] :], hidden)


def article_features(
    language_model: PeftModel,
    tokens: torch.Tensor,
    hidden: torch.Tensor,
    lengths: torch.Tensor,
    before: int,
    after: int,
) -> torch.Tensor:
    """Return the means over each article of its word embeddings and of its final states.

    Args:
        tokens: (batch, length), right-padded after `lengths` (batch,).
        hidden: final states (batch, length, width).
        before, after: how many tokens stand before and after the article.

    Returns:
        Features (batch, width of the embeddings + width), the final states last.
    """
    base = cast(PreTrainedModel, language_model.get_base_model())
    words = base.get_input_embeddings()(tokens)
    return article_mean(torch.cat([words.to(hidden), hidden], dim=-1), lengths, before, after)


def article_mean(
    hidden: torch.Tensor, lengths: torch.Tensor, before: int, after: int
) -> torch.Tensor:
    """Return the mean over each article (batch, width) of states (batch, length, width)."""
    position = torch.arange(hidden.shape[1], device=hidden.device)
    inside = (position >= before) & (position < (lengths - after)[:, None])
    return mean_over(hidden, inside)


def read_blocks(
    student: nn.Module,
    blocks: Sequence[nn.Module],
    tokens: torch.Tensor,
    lengths: torch.Tensor,
    before: int,
    after: int,
) -> tuple[StudentOutput, torch.Tensor]:
    """Return what a student says, and the mean states of its blocks from the same forward pass.

    Args:
        student: maps tokens and lengths to a `StudentOutput`.
        blocks: of its language model, rising; one may be named twice.
        before, after: how many tokens stand before and after the article.

    Returns:
        The output, and means over each article (batch, blocks, width).
    """
    with captured(blocks) as outputs:
        output = student(tokens, lengths)
    own = [hidden[:, -tokens.shape[1] :] for hidden in outputs]  # virtual tokens stand before
    means = [article_mean(hidden, lengths, before, after) for hidden in own]
    return output, torch.stack(means, dim=1)


def final_states(language_model: PeftModel, tokens: torch.Tensor) -> torch.Tensor:
    """Return the final states of the tokens (batch, length, width), without any of virtual ones.

    Raises:
        InputError: if tokens and virtual ones together do not fit into the model's context.
    """
    base = cast(PreTrainedModel, language_model.get_base_model())
    if not language_model.active_peft_config.is_prompt_learning:
        states: torch.Tensor = base.base_model(tokens, use_cache=False).last_hidden_state
        return states
    virtual, context = language_model.active_peft_config.num_virtual_tokens, context_of(base.config)
    if context is not None and virtual + tokens.shape[1] > context:
        raise InputError(
            f"{virtual} virtual tokens leave no room for {tokens.shape[1]} in a context of "
            f"{context}: lower adapter.tokens or label.article_tokens"
        )
    # Virtual tokens are put in by PEFT's forward alone, which gives logits: one is little work.
    found: list[torch.Tensor] = []
    handle = base.get_decoder().register_forward_hook(
        lambda _module, _inputs, output: found.append(output.last_hidden_state)
    )
    try:
        language_model(input_ids=tokens, logits_to_keep=1)
    finally:
        handle.remove()
    return found[0][:, -tokens.shape[1] :]
