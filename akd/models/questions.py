"""Yes or no: a causal language model asked whether a text belongs to a group of phrases."""

from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from akd.console import progress
from akd.corpus.relevance.scores import Array, Groups, Logits, absolute
from akd.models.scoring import TextScorer
from akd.models.words import after_space

_ANSWERS = ("yes", "no")
_BEFORE = "News: "
_SHOWN_PHRASES = 8  # of a group: enough to say what it is


def question_logits(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    reference: Sequence[str],
    groups: Groups,
    *,
    question: str,
    text_tokens: int,
    batch_size: int,
) -> Logits:
    """Return logits from the answers of a language model, one question a group.

    A model answers yes more readily to some questions than to others: the mean over the reference
    texts is taken out (batch calibration, Zhou et al. 2023), so that a logit of 0 is an average
    text.

    Args:
        model: a causal language model in evaluation mode.
        tokenizer: its tokenizer.
        reference: a sample of the corpus.
        groups: what is asked about.
        question: with `{name}` and `{phrases}` of the group; asked after the text.
        text_tokens: how many tokens of a text are read.
        batch_size: texts in one forward pass.
    """
    answers = [after_space(word, tokenizer)[:1] for word in _ANSWERS]
    scorers = []
    for name, phrases in groups.items():
        shown = ", ".join(phrases[:_SHOWN_PHRASES])
        asked = question.format(name=name.replace("_", " "), phrases=shown)
        scorers.append(
            TextScorer(
                model,
                tokenizer,
                before=tokenizer(_BEFORE).input_ids,
                after=tokenizer(f"\n{asked}", add_special_tokens=False).input_ids,
                labels=answers,
                text_tokens=text_tokens,
                batch_size=batch_size,
                layers=[],
            )
        )

    def ask(texts: Sequence[str]) -> Array:
        columns = []
        for scorer in progress(
            scorers, description="questions", unit="question", total=len(scorers)
        ):
            said = scorer.score(texts).log_probabilities
            columns.append(said[:, 0] - said[:, 1])
        return np.stack(columns, axis=1).astype(np.float64)

    mean = ask(reference).mean(axis=0)
    return lambda texts: absolute(ask(texts) - mean)
