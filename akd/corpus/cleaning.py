"""Cleaning of one text: markup, control characters, repeated punctuation and whitespace."""

import re
import unicodedata

from bs4 import BeautifulSoup

_MARKUP = re.compile(r"<[a-zA-Z!/][^>]*>|&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z]+);")
_REPEATED = re.compile(r"([^\w\s])\1{2,}")
_SPACE = re.compile(r"\s+")
_DROPPED_CATEGORIES = {
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Cn",
}  # control, format, surrogate, private, unassigned


def clean_text(text: str) -> str:
    """Return the text in NFC without HTML, control characters and folded runs.

    Three or more of one punctuation mark become one; any whitespace becomes one space.
    """
    if _MARKUP.search(text):
        text = BeautifulSoup(text, "html.parser").get_text(" ")
    text = unicodedata.normalize("NFC", text)
    text = "".join(_printable(character) for character in text)
    text = _REPEATED.sub(r"\1", text)
    return _SPACE.sub(" ", text).strip()


def _printable(character: str) -> str:
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) in _DROPPED_CATEGORIES else character


def lead(title: str, text: str, max_characters: int) -> str:
    """Join title and text and cut after the last whole word within `max_characters`."""
    joined = f"{title}. {text}" if title and text else title or text
    if len(joined) <= max_characters:
        return joined
    cut = joined.rfind(
        " ", max_characters // 2, max_characters + 1
    )  # a text without spaces is cut where it is
    return joined[:max_characters] if cut < 0 else joined[:cut]
