"""Admission: whether a row of a source is an article, and its id and date in our form."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from akd.corpus.sampling import digest
from akd.corpus.sources.row import Row


def admit(row: Row, date_format: str) -> Row:
    """Return the row with id, ISO 8601 date and verdict; `reason` is empty for an article.

    A row without an id gets a stable one, a hash of source, title and text. Lone surrogates, which
    no table can hold, become question marks.

    Args:
        row: of a source; one that the source could not read keeps its reason.
        date_format: as of strptime, for dates that are neither ISO 8601 nor RFC 2822; else empty.
    """
    found = {name: value.encode("utf-8", "replace").decode() for name, value in row.items()}
    if not found.get("id"):
        found["id"] = article_id(row["source"], row["title"], row["text"])
    if row.get("reason"):
        return found
    found |= {"reason": "", "detail": ""}
    if not (row["title"].strip() or row["text"].strip()):
        return {**found, "reason": "no_text", "detail": "neither title nor text"}
    if row["published"].strip():
        published = iso_date(row["published"].strip(), date_format)
        if published is None:
            wanted = date_format or "ISO 8601 or RFC 2822"
            detail = f"{row['published']!r} is no date ({wanted})"
            return {**found, "reason": "bad_date", "detail": detail}
        found["published"] = published
    return found


def article_id(source: str, title: str, text: str) -> str:
    """Return the stable id of an article: 16 hex digits of a hash of source, title and text."""
    return digest("\x1f".join((source, title, text)))


def iso_date(text: str, date_format: str) -> str | None:
    """Return a date as ISO 8601, with a time in UTC where the text has one; None if it is no date.

    A time without a zone is taken for UTC, so that dates of all sources sort as text.
    """
    parsers: list[Callable[[str], datetime]] = [datetime.fromisoformat, parsedate_to_datetime]
    if date_format:
        parsers.insert(0, lambda text: datetime.strptime(text, date_format))
    for parse in parsers:
        try:
            return _in_utc(parse(text))
        except (ValueError, OverflowError):  # not in this form, or beyond the calendar
            continue
    return None


def _in_utc(moment: datetime) -> str:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    text = moment.astimezone(UTC).isoformat(timespec="seconds")
    return text.removesuffix("T00:00:00+00:00").replace("+00:00", "Z")
