"""Cleaning of one text: markup, control characters, repeated punctuation and whitespace."""

import re
import unicodedata

from bs4 import BeautifulSoup, ParserRejectedMarkup

_DROPPED_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn"}
"""Control, format, surrogate, private and unassigned characters."""

_NESTED_ESCAPE = re.compile(r"&(?:amp;)+")
_MARKUP = re.compile(r"<[a-zA-Z!/][^>]*>|&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z]+);")
_REPEATED = re.compile(r"([^\w\s])\1{2,}")
_SENTENCE_ENDS = ".!?:…。！？："


def clean_text(text: str) -> str:
    """Return the text in NFC without HTML, control characters and folded runs.

    Three or more of one punctuation mark become one; any whitespace becomes one space. One step
    can bring forth what another removes (an escaped tag, a character composed once a format
    character between its parts is gone), so that they repeat until nothing changes: cleaning a
    clean text changes nothing.
    """
    while (cleaned := _clean_once(text)) != text:
        text = cleaned
    return text


def _clean_once(text: str) -> str:
    if _MARKUP.search(text):
        text = _NESTED_ESCAPE.sub("&", text)  # else a text costs one round for each level
        text = _without_markup(text)
    # A text has few different characters: looking at each of them once is what makes this fast.
    dropped = [character for character in set(text) if _is_dropped(character)]
    text = text.translate(dict.fromkeys(map(ord, dropped))) if dropped else text
    text = unicodedata.normalize("NFC", text)
    text = _REPEATED.sub(r"\1", text)
    return " ".join(text.split())


def _without_markup(text: str) -> str:
    try:
        return BeautifulSoup(text, "html.parser").get_text(" ")
    except (ParserRejectedMarkup, ValueError):  # a declaration or a character that is none
        return _MARKUP.sub(" ", text)


def _is_dropped(character: str) -> bool:
    return unicodedata.category(character) in _DROPPED_CATEGORIES and not character.isspace()


def article_text(title: str, text: str, max_characters: int) -> str:
    """Return clean title and text in one, cut after the last whole word within `max_characters`.

    A text that begins with its title is not given it again. What a cut or the joint of title and
    text brings forth (`<a` and `>` are a tag) is cleaned in its turn, so that an article that is
    cleaned twice stays the same.
    """
    title = clean_text(title)
    found = cut(_joined(title, clean_text(text)), max_characters)
    while (again := cut(_joined(title, clean_text(found)), max_characters)) != found:
        found = again
    return found


def cut(text: str, max_characters: int) -> str:
    """Return the text up to its last whole word; one without spaces is cut within a word."""
    if len(text) <= max_characters:
        return text
    end = text.rfind(" ", max_characters // 2, max_characters + 1)
    return text[:max_characters] if end < 0 else text[:end]


def _joined(title: str, text: str) -> str:
    if not title or not text or text.startswith(title):
        return text or title
    return f"{title} {text}" if title[-1] in _SENTENCE_ENDS else f"{title}. {text}"
