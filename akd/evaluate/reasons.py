"""Reasons of a student: the sentence behind its label, as the loss `rationale` has taught it."""

from collections.abc import Sequence
from typing import cast

from transformers import PreTrainedModel

from akd.console import progress
from akd.errors import InputError
from akd.evaluate.predict import Student
from akd.models.writing import SentenceWriter
from akd.prompts.template import render, told_tokens
from akd.teacher.rationales import flaw

_SHARD = 64  # texts between two steps of the bar


class ReasonWriter:
    """Asks a student for the reasons of labels.

    A label stands behind the text as if the student had said it, and the student goes on, as it
    was taught (Hsieh et al. 2023; the label comes first, so that the reason is of this label).

    Args:
        student: which has learnt the loss `rationale`.
        cue: of the task; stands between label word and reason.
        new_tokens: of a reason, at most.
        batch_size: texts in one forward pass on CUDA.

    Raises:
        InputError: if the adapter is made of virtual tokens, or the context has no room.
    """

    def __init__(self, student: Student, cue: str, *, new_tokens: int, batch_size: int) -> None:
        if student.model.active_peft_config.is_prompt_learning:
            raise InputError(
                "a student with virtual tokens writes no reasons: choose another `adapter.kind`"
            )
        self._prompt, self._cue, tokenizer = student.reading.prompt, cue, student.tokenizer
        before, end = render(self._prompt, tokenizer)
        self._after = [[*end, *told_tokens(word, cue, tokenizer)] for word in self._prompt.words]
        self._writer = SentenceWriter(
            cast(PreTrainedModel, student.model.get_base_model()),
            tokenizer,
            before=before,
            longest_after=max(map(len, self._after)),
            text_tokens=student.reading.text_tokens,
            new_tokens=new_tokens,
            top=1,
            batch_size=batch_size,
        )

    def write(self, texts: Sequence[str], labels: Sequence[int]) -> list[str | None]:
        """Return why each text has its label; None where what is written is no reason.

        Args:
            texts: what is read (n).
            labels: the number of the label of each (n).
        """
        found: list[str | None] = []
        starts = range(0, len(texts), _SHARD)
        for start in progress(starts, description="reasons", unit=f"{_SHARD} articles"):
            shown = labels[start : start + _SHARD]
            after = [self._after[label] for label in shown]
            written = self._writer.write(texts[start : start + _SHARD], after)
            for row, label in enumerate(shown):
                tokens = written.top_tokens[row, : int(written.lengths[row]), 0].tolist()
                text = self._writer.text(tokens).strip()
                sound = self._is_sound(text, label, bool(written.ended[row]))
                found.append(text if sound else None)
        return found

    def _is_sound(self, text: str, label: int, ended: bool) -> bool:
        """Return whether it may be a reason, by what a teacher's must be."""
        prompt = self._prompt
        said = (prompt.instruction, prompt.system, prompt.words[label])
        return flaw(text, ended=ended, said=said, marks=(prompt.article, self._cue)) is None
