"""Reasons of a student: the sentence behind its label, as the loss `rationale` has taught it."""

from collections.abc import Sequence
from typing import cast

from transformers import PreTrainedModel

from akd.console import progress
from akd.errors import InputError
from akd.evaluate.predict import Student
from akd.teacher.reasoning import Reasoner

_SHARD = 64  # texts between two steps of the bar


class ReasonWriter:
    """Asks a student for the reasons of labels, as it was taught them.

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
        self._reasoner = Reasoner(
            cast(PreTrainedModel, student.model.get_base_model()),
            student.tokenizer,
            student.reading.prompt,
            cue,
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
            written = self._reasoner.write(texts[start : start + _SHARD], shown)
            for row, label in enumerate(shown):
                sound = self._reasoner.flaw(written, row, label) is None
                found.append(self._reasoner.text(written, row) if sound else None)
        return found
