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


def student_reasons(
    student: Student,
    texts: Sequence[str],
    labels: Sequence[int],
    cue: str,
    *,
    new_tokens: int,
    batch_size: int,
) -> list[str | None]:
    """Return why each text has its label, in the student's words.

    The label stands behind the text as if the student had said it, and the student goes on, as it
    was taught (Hsieh et al. 2023; the label comes first, so that the reason is of this label).
    What is no reason, by what a teacher's must be, is None.

    Args:
        texts: what is read (n).
        labels: the number of the label of each (n).
        cue: of the task; stands between label word and reason.
        new_tokens: of a reason, at most.
        batch_size: texts in one forward pass on CUDA.

    Raises:
        InputError: if the adapter is made of virtual tokens, or the context has no room.
    """
    if student.model.active_peft_config.is_prompt_learning:
        raise InputError(
            "a student with virtual tokens writes no reasons: choose another `adapter.kind`"
        )
    prompt, tokenizer = student.reading.prompt, student.tokenizer
    before, end = render(prompt, tokenizer)
    after = [[*end, *told_tokens(word, cue, tokenizer)] for word in prompt.words]
    writer = SentenceWriter(
        cast(PreTrainedModel, student.model.get_base_model()),
        tokenizer,
        before=before,
        longest_after=max(map(len, after)),
        text_tokens=student.reading.text_tokens,
        new_tokens=new_tokens,
        top=1,
        batch_size=batch_size,
    )
    found: list[str | None] = []
    starts = range(0, len(texts), _SHARD)
    for start in progress(starts, description="reasons", unit=f"{_SHARD} articles"):
        shown = labels[start : start + _SHARD]
        written = writer.write(texts[start : start + _SHARD], [after[label] for label in shown])
        for row, label in enumerate(shown):
            tokens = written.top_tokens[row, : int(written.lengths[row]), 0].tolist()
            text, ended = writer.text(tokens).strip(), bool(written.ended[row])
            said = (prompt.instruction, prompt.system, prompt.words[label])
            wrong = flaw(text, ended=ended, said=said, marks=(prompt.article, cue))
            found.append(None if wrong else text)
    return found
