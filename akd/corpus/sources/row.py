"""What every source yields: a row for each article, and one for each that cannot be read."""

from collections.abc import Mapping

Row = dict[str, str]
"""Fields of `records.ARTICLE`; `id` only where the source has one.

A row that no article can be made of also has a `reason`, and a `detail` that says more.
"""

_SHOWN_CHARACTERS = 2_000  # of a row that cannot be read: enough to see what it was


def unreadable(fixed: Mapping[str, str], content: str, reason: str, detail: str) -> Row:
    """Return the row of something that is no article: it is counted and kept for inspection.

    Args:
        fixed: the fields that the source knows of all its rows (source, domain, language_hint).
        content: what stands there instead of an article.
        reason: one word for the metrics, such as `not_json`.
        detail: where it is and what is wrong.
    """
    shown = content[:_SHOWN_CHARACTERS]
    return {
        **fixed,
        "title": "",
        "text": shown,
        "published": "",
        "reason": reason,
        "detail": detail,
    }
