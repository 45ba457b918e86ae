"""The engine that scores with a model on this machine."""

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from akd.models.scoring import TextScorer
from akd.prompts.template import Prompt, label_paths, render


def transformers_teacher(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    prompt: Prompt,
    text_tokens: int,
    batch_size: int,
    layers: Sequence[int],
) -> TextScorer:
    """Return the engine that scores with a local model; see `TextScorer` for the arguments.

    Raises:
        InputError: if the prompt does not fit the tokenizer or the context.
    """
    before, after = render(prompt, tokenizer)
    return TextScorer(
        model,
        tokenizer,
        before=before,
        after=after,
        labels=label_paths(prompt, tokenizer),
        text_tokens=text_tokens,
        batch_size=batch_size,
        layers=layers,
    )
