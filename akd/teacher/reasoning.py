"""Reasons: a language model that is told a label of a text goes on with why it has it."""

import re
from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from akd.models.writing import SentenceWriter
from akd.prompts.template import Prompt, instruction_of, render, told_tokens
from akd.records import Written

_SHORTEST_SIGN = 3  # characters: a dash says nothing
FLAWS = ("empty", "unended", "broken", "repeats")


class Reasoner:
    """Writes the reasons of labels, and judges them.

    A label word stands behind the text as if the model had answered so, then the cue, and the model
    goes on (Hsieh et al. 2023; the label comes first, so that the reason is of this label).

    Args:
        model: of a teacher or student, in evaluation mode.
        tokenizer: its tokenizer.
        prompt: what stands around a text.
        cue: stands between label word and reason.
        text_tokens: how many tokens of a text are read.
        new_tokens: of a reason, at most.
        top: how many alternatives are kept for each token.
        batch_size: texts in one forward pass on CUDA.

    Raises:
        InputError: if all of it does not fit into the model's context.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        prompt: Prompt,
        cue: str,
        *,
        text_tokens: int,
        new_tokens: int,
        top: int,
        batch_size: int,
    ) -> None:
        self._prompt, self._cue = prompt, cue
        before, end = render(prompt, tokenizer)
        self._after = [[*end, *told_tokens(word, cue, tokenizer)] for word in prompt.words]
        self._writer = SentenceWriter(
            model,
            tokenizer,
            before=before,
            longest_after=max(map(len, self._after)),
            text_tokens=text_tokens,
            new_tokens=new_tokens,
            top=top,
            batch_size=batch_size,
        )

    def write(self, texts: Sequence[str], labels: Sequence[int]) -> Written:
        """Write why each text (n) has the label of its number (n)."""
        return self._writer.write(texts, [self._after[label] for label in labels])

    def text(self, written: Written, row: int) -> str:
        """Return what was written of a row, without blanks around it."""
        tokens = written.top_tokens[row, : int(written.lengths[row]), 0].tolist()
        return self._writer.text(tokens).strip()

    def flaw(self, written: Written, row: int, label: int) -> str | None:
        """Return why what was written of a row is no reason, one of `FLAWS`; None if it may be."""
        return flaw(
            self.text(written, row),
            ended=bool(written.ended[row]),
            said=(instruction_of(self._prompt), self._prompt.system, self._prompt.words[label]),
            marks=(self._prompt.article, self._cue),
        )


def flaw(text: str, *, ended: bool, said: Sequence[str], marks: Sequence[str]) -> str | None:
    """Return why a text is no reason, one of `FLAWS`; None if it may be one.

    Args:
        text: without blanks around it.
        ended: whether it came to an end in the room that it had.
        said: what the prompt says; a reason that stands in it word for word `repeats` it.
        marks: what a prompt writes and a reason never does; one that does `repeats` it.
    """
    plain = _plain(text)
    if not any(character.isalpha() for character in plain):
        return "empty"
    if not ended:
        return "unended"
    if "\N{REPLACEMENT CHARACTER}" in text:
        return "broken"
    if any(plain in _plain(part) for part in said):
        return "repeats"
    shown = any(_stands_in(mark, plain) for mark in map(_plain, marks))
    return "repeats" if shown else None


def _stands_in(mark: str, text: str) -> bool:
    """Return whether a mark stands in a text, and not as the end of a word (text:, context:)."""
    if len(mark) < _SHORTEST_SIGN and not any(character.isalpha() for character in mark):
        return False
    # Scripts without capital letters may write no space between words.
    begins = r"(?<!\w)" if mark[0].upper() != mark[0] else ""
    return re.search(begins + re.escape(mark), text) is not None


def _plain(text: str) -> str:
    """Return a text without case, blanks and punctuation at its ends."""
    return " ".join(text.casefold().split()).strip(" .!?\"'")
