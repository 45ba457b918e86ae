"""CSV of the user, strictly and row by row: a row that is broken takes no other with it."""

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from akd.corpus.sources.lines import read_lines
from akd.corpus.sources.row import Row
from akd.corpus.sources.table import Table
from akd.errors import InputError

_MAX_FIELD_CHARACTERS = 2**24
"""Longer than any article, yet a quote that is never closed must not fill the memory."""


def read(path: Path, table: Table) -> Iterator[Row]:
    """Yield the rows of a CSV file with a header; blank lines are passed over.

    A row that breaks the rules of quoting is `not_csv`, one with more or fewer fields than the
    header `shifted_columns`.

    Raises:
        InputError: if the file cannot be read to its end, its header is no CSV, or a column that
            the task names is missing.
    """
    # The limit is one of the whole process, and the 128 KiB of Python are less than some articles.
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    lines = _Lines(read_lines(path, newline=""))
    header = _header(lines, path)
    if not header:
        return
    if len(header) == 1 and header[0] not in table.columns.values() and {";", "\t"} & {*header[0]}:
        raise InputError(f"{path} has one column, {header[0]!r}: separate columns by commas")
    table.check(header)
    positions = {ours: header.index(theirs) for ours, theirs in table.columns.items()}
    for where, record in _records(lines, table):
        if isinstance(record, csv.Error):
            yield table.broken(lines.taken[0], "not_csv", f"{where}: {record}")
        elif len(record) != len(header):
            detail = f"{where}: {len(record)} fields, but the header has {len(header)}"
            yield table.broken("".join(lines.taken), "shifted_columns", detail)
        else:
            values = {ours: record[position] for ours, position in positions.items()}
            yield table.article(values, where)


def _header(lines: "_Lines", path: Path) -> list[str]:
    try:
        return next(filter(None, csv.reader(lines, strict=True)), [])
    except csv.Error as error:
        raise InputError(f"{path} cannot be read ({error}): mend its header") from None


def _records(lines: "_Lines", table: Table) -> Iterator[tuple[str, list[str] | csv.Error]]:
    reader = csv.reader(lines, strict=True)
    while True:
        where = f"{table.place}:{lines.begin_record()}"
        try:
            record = next(reader, None)
        except csv.Error as error:
            # A stray quote swallows the rows up to the next quote: they are read again.
            lines.give_back()
            yield where, error
            continue
        if record is None:
            return
        if record:
            yield where, record


class _Lines:
    """The lines of a file, of which those of a broken record can be given back.

    Attributes:
        taken: the lines of the record that is being read.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self.taken: list[str] = []
        self._lines = lines
        self._returned: deque[str] = deque()
        self._number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self.taken.append(line)
        self._number += 1
        return line

    def begin_record(self) -> int:
        """Forget the lines of the last record; return the number of the next line, from 1."""
        self.taken.clear()
        return self._number + 1

    def give_back(self) -> None:
        """Keep the first line of the record; the others are to be read once more."""
        others = self.taken[1:]
        self._returned.extendleft(reversed(others))
        self._number -= len(others)
        del self.taken[1:]
