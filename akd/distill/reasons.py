"""Reasons: what the student is to say behind the decision position, after the teacher's label."""

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from akd.distill.curriculum import Ints
from akd.distill.lessons import Lessons
from akd.errors import InputError
from akd.models.truncation import check_room
from akd.prompts.reading import Reading
from akd.prompts.template import told_tokens


@dataclass(frozen=True)
class Reason:
    """The tokens behind the decision position of one article, and what the teacher said of them.

    Attributes:
        tokens: label word, cue and reason.
        start: where in them the reason begins.
        top_tokens: for each token of the reason the teacher's most probable ones (reason, k).
        top_log_probabilities: theirs (reason, k), in nats.
        tail_mass: for each token the probability of all others (reason,).

    The last three are empty where the words alone are learnt: they are most of what is stored.
    """

    tokens: list[int]
    start: int
    top_tokens: list[list[int]]
    top_log_probabilities: list[list[float]]
    tail_mass: list[float]


def reasons_of(
    lessons: Lessons,
    rows: Ints,
    reading: Reading,
    cue: str,
    tokenizer: PreTrainedTokenizerBase,
    *,
    context: int | None,
    virtual_tokens: int,
    alternatives: bool,
) -> list[Reason | None] | None:
    """Return the reason of each article, None where it has none; None where no loss asks for any.

    Args:
        lessons: articles, and what the teacher wrote of some.
        rows: of the articles that are learnt from.
        reading: how the student reads an article.
        cue: stands between label word and reason.
        tokenizer: of the student.
        context: how many tokens the student can read; None where there is no limit.
        virtual_tokens: that stand before all others.
        alternatives: whether more is learnt than the words.

    Raises:
        InputError: if the teacher wrote none of what is learnt from, or the student has another
            tokenizer than it, or no room for a reason.
    """
    if lessons.rationales is None:
        return None
    before, after = reading.around(tokenizer)
    written = {row["id"]: row for row in lessons.rationales.iter_rows(named=True)}
    words = dict(zip(reading.labels, reading.prompt.words, strict=True))
    found: list[Reason | None] = []
    for key, label in lessons.table.select("id", "label").rows():
        row = written.get(key)
        found.append(
            None if row is None else _reason(row, words[label], cue, tokenizer, alternatives)
        )
    given = [reason for row in rows if (reason := found[row]) is not None]
    if not given:
        raise InputError(
            "the teacher wrote no usable reason for the articles of this phase, and so `rationale` "
            "has nothing to teach: raise `label.rationales.share`, let the phase learn more of the "
            "articles, or leave `rationale` out of `distill.phases`"
        )
    longest = max(len(reason.tokens) for reason in given)
    others = {"adapter.tokens": virtual_tokens, "label.rationales.tokens": longest}
    check_room(before, reading.text_tokens, after, context, others)
    return found


def _reason(
    row: dict[str, Any],
    word: str,
    cue: str,
    tokenizer: PreTrainedTokenizerBase,
    alternatives: bool,
) -> Reason:
    if str(tokenizer.decode(row["tokens"])).strip() != row["text"].strip():
        raise InputError(
            f"the reason of {row['id']} is of another tokenizer than the student's: leave "
            "`rationale` out of `distill.phases`, or choose a student of the teacher's family"
        )
    forced = told_tokens(word, cue, tokenizer)
    said = ("top_tokens", "top_log_probabilities", "tail_mass")
    return Reason(
        tokens=[*forced, *row["tokens"]],
        start=len(forced),
        **{name: row[name] if alternatives else [] for name in said},
    )
