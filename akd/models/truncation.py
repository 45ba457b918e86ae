"""Truncation: how much of a long article is read, the same for teacher, student and TF-IDF."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from transformers import PreTrainedTokenizerBase

from akd.errors import InputError

_CLOSING = r"[\"'”’»）」』】)\]]*"
# A full stop after a single letter is an initial or an abbreviation (J. Smith, U.S.).
_LATIN = rf"(?<![\s.][A-Za-z])[.!?…]+{_CLOSING}(?=\s|\Z)"
_OTHER = rf"[。！？｡؟۔।॥።։။។]+{_CLOSING}"  # no blank need follow
_SENTENCE_END = re.compile(rf"{_LATIN}|{_OTHER}|\n")


@dataclass(frozen=True)
class Excerpt:
    """What is read of a text: its tokens, the same as text, and whether that is all of it."""

    tokens: list[int]
    text: str
    whole: bool


def excerpts(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> list[Excerpt]:
    """Return what is read of each text: all of it where it has at most `max_tokens` tokens.

    A longer one ends with the last sentence that ends within `max_tokens`, if that keeps at least
    half of them, else with the last token.

    Raises:
        InputError: if the tokenizer does not say where in the text its tokens stand.
    """
    if not texts:  # a tokenizer does not take an empty list
        return []
    if not tokenizer.is_fast:
        raise InputError(
            "the tokenizer does not tell where its tokens stand, so that no sentence end can be "
            "found: choose a model with a tokenizer.json"
        )
    encoded = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
    return [
        _excerpt(text, tokens, places, max_tokens)
        for text, tokens, places in zip(
            texts, encoded.input_ids, encoded.offset_mapping, strict=True
        )
    ]


def truncated(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> list[list[int]]:
    """Return the tokens that are read of each text, see `excerpts`."""
    return [excerpt.tokens for excerpt in excerpts(texts, tokenizer, max_tokens)]


def sentence_end(text: str, *, whole: bool) -> int | None:
    """Return where the first sentence of a text ends, a line's end included; None if it does not.

    Args:
        text: from its first character on.
        whole: nothing follows; else a point at the very end may stand within a sentence (3.5).
    """
    for end in _SENTENCE_END.finditer(text):
        if whole or end.end() < len(text):
            return len(text[: end.end()].rstrip())
    return None


def check_room(
    before: int,
    text_tokens: int,
    after: int,
    context: int | None,
    others: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Refuse a prompt beside which an article has no room.

    Args:
        before: tokens before each article.
        text_tokens: how many tokens of an article are to be read.
        after: tokens after each article.
        context: how many tokens the model can read; None where there is no limit.
        others: what else takes room, by the parameter that says how many tokens.

    Raises:
        InputError: if all of it does not fit into the context.
    """
    if context is None or before + text_tokens + after + sum(others.values()) <= context:
        return
    named = {name: tokens for name, tokens in others.items() if tokens}
    taken = [f"the prompt takes {before + after}", *(f"`{n}` {k}" for n, k in named.items())]
    lowered = ", ".join(f"`{name}`" for name in (*named, "prompt.shown_characters"))
    raise InputError(
        f"{' and '.join(taken)} of the {context} tokens that the model can read, which leaves no "
        f"room for {text_tokens} of an article: shorten the instruction in task.yaml, or lower "
        f"{lowered} or `label.article_tokens`"
    )


def _excerpt(
    text: str, tokens: list[int], places: Sequence[tuple[int, int]], max_tokens: int
) -> Excerpt:
    if len(tokens) <= max_tokens:
        return Excerpt(tokens, text, True)
    kept, limit = max_tokens, places[max_tokens - 1][1]
    for end in _SENTENCE_END.finditer(text):
        if end.end() > limit:
            break
        begun = sum(start < end.end() for start, _ in places[:max_tokens])
        kept = begun if 2 * begun >= max_tokens else kept
    return Excerpt(tokens[:kept], text[: places[kept - 1][1]], False)
