"""A table of somebody else: which columns it must have, and what its rows become."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from akd.corpus.sources.row import Row, unreadable
from akd.errors import InputError
from akd.specs.sources import FilesSource, HuggingFaceSource

_EMPTY = {"title": "", "text": "", "published": ""}
_TEXT_FIELDS = {"id", "title", "text"}
_WRONG_BYTE = re.compile("[\udc80-\udcff]")  # as `surrogateescape` writes what is not UTF-8


class Table:
    """One file or data set of a source.

    Attributes:
        name: what errors call it, such as its path.
        place: what the details of its rows call it: the same on every machine.
        columns: for a field of an article, the column that holds it.
    """

    def __init__(self, source: FilesSource | HuggingFaceSource, name: str, place: str) -> None:
        self.name = name
        self.place = place
        self.columns: dict[str, str] = dict(source.columns.items())
        self._source = source.name
        self._fixed = {
            "source": source.name,
            "domain": source.domain,
            "language_hint": source.language,
        }

    def check(self, names: Sequence[str]) -> None:
        """Check that the table has each column of the task, once.

        Raises:
            InputError: if one is missing, or there are two of its name.
        """
        for column in self.columns.values():
            if column not in names:
                raise InputError(
                    f"{self.name} has no column {column!r} (it has {', '.join(names) or 'none'}): "
                    f"correct `columns` of the source {self._source!r}"
                )
            if names.count(column) > 1:
                raise InputError(f"{self.name} has two columns {column!r}: rename one of them")

    def filled(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows of the table.

        Raises:
            InputError: if there are none.
        """
        empty = True
        for row in rows:
            empty = False
            yield row
        if empty:
            raise InputError(
                f"{self.name} has no rows: fill it or take it out of the source {self._source!r}"
            )

    def article(self, values: Mapping[str, Any], where: str) -> Row:
        """Return the row of an article, or the reason why there is none.

        A number or a boolean becomes its JSON text, and so does a list or an object, which is
        `not_text` as id, title or text. A missing value is empty.

        Args:
            values: for each field of `columns` what its column holds, as JSON has it; bytes that
                are not UTF-8 stand in it as surrogates (the error handler `surrogateescape`).
            where: the place of the row.

        Raises:
            RecursionError: if a value is nested too deeply to be written out.
        """
        for field, value in values.items():
            if field in _TEXT_FIELDS and isinstance(value, list | dict):
                kind = "a list" if isinstance(value, list) else "an object"
                content = json.dumps(value, ensure_ascii=False)
                return self.broken(content, "not_text", f"{where}: its {field} is {kind}")
        texts = {field: _text(value) for field, value in values.items()}
        content = "\n".join(texts.values())
        # isascii looks at a flag only, and no surrogate is ASCII.
        if not content.isascii() and _WRONG_BYTE.search(content):
            return self.broken(content, "wrong_encoding", f"{where}: bytes that are not UTF-8")
        return {**_EMPTY, **self._fixed, **texts}

    def broken(self, content: str, reason: str, detail: str) -> Row:
        """Return the row of something that is no article; surrogates are written out in it."""
        shown = content.encode(errors="backslashreplace").decode()
        return unreadable(self._fixed, shown, reason, detail)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
