"""Other wordings of an instruction: whole ones, and one word at a time ([ANON] A.2, [PA])."""

import re
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

NearestWords = Callable[[str], Sequence[str]]
"""From a word to the words that a model takes for most like it, the nearest first."""

LABELS = "{labels}"
"""Where the label words stand in an instruction."""

_ORDER = re.compile(r"^(?:Classify|Sort|Label) (?P<what>.+?) as \{labels\}\.$")
_REWRITES = (
    "For {what}, choose {labels}.",
    "Decide whether {what} is {labels}.",
    "Which one is {what}: {labels}?",
)
_FRAMES = (
    "Which word describes each text best: {labels}?",
    "Read each text, then answer with one of these words: {labels}.",
    "Below are texts, each followed by one of the words {labels}.",
)
_WORD = re.compile(r"[^\W\d_]+")
_SHORTEST = 4  # letters of a word that says something of its own


def paraphrases(instruction: str, own: Sequence[str], near_copy: float) -> list[str]:
    """Return other instructions: those of the task, then built-in rewrites of this one.

    Args:
        instruction: what is rewritten; may be empty.
        own: instructions of the task; a person has chosen them, so that they may be alike.
        near_copy: a rewrite that is as similar as this to another instruction is left out; the
            similarity is 2 M / T of the characters, M of T in matching blocks (Ratcliff and
            Obershelp, as in `difflib`).
    """
    order = _ORDER.match(instruction)
    built_in = (
        [] if order is None else [form.replace("{what}", order["what"]) for form in _REWRITES]
    )
    built_in += _FRAMES
    kept = [text for text in own if text != instruction]
    taken = [instruction, *own]
    for text in built_in:
        if all(_similarity(text, other) < near_copy for other in taken):
            kept.append(text)
            taken.append(text)
    return kept


def substitutions(instruction: str, nearest: NearestWords, count: int) -> Iterator[str]:
    """Yield the instruction with one content word replaced by one of its `count` nearest words.

    A content word has four letters or more, is no English stop word, and stands in no braces.
    """
    for match in _WORD.finditer(instruction):
        word, start, end = match.group(), match.start(), match.end()
        if f"{{{word}}}" == instruction[max(start - 1, 0) : end + 1]:
            continue
        if len(word) < _SHORTEST or word.lower() in ENGLISH_STOP_WORDS:
            continue
        for other in nearest(word)[:count]:
            yield f"{instruction[:start]}{other}{instruction[end:]}"


def _similarity(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
