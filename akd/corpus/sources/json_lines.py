"""JSON lines of the user, one object a line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from akd.corpus.sources.lines import read_lines
from akd.corpus.sources.row import Row
from akd.corpus.sources.table import Table
from akd.errors import InputError

_SHOWN_KEYS = 50  # of a file without a column: its keys may be as many as its rows


def read(path: Path, table: Table) -> Iterator[Row]:
    """Yield the rows of a file; blank lines are passed over.

    A line that is no JSON object is `not_json`, one with a list or an object for its id, title
    or text `not_text`. A key that an object lacks is an empty value.

    Raises:
        InputError: if the file cannot be read to its end, is one JSON document over many lines
            or in an array, or no object has a column that the task names.
    """
    unseen = set(table.columns.values())
    keys: dict[str, None] = {}  # in their order
    for number, line in enumerate(read_lines(path, newline="\n"), start=1):
        text = line.strip()
        if not text:
            continue
        if number == 1 and (text in "[{" or text.startswith("[{")):
            raise InputError(f"{path} is one JSON document: write one object a line instead")
        where = f"{table.place}:{number}"
        try:
            found = _parse(text)
            values = {ours: found.get(theirs) for ours, theirs in table.columns.items()}
            row = table.article(values, where)
        except (ValueError, RecursionError) as error:
            yield table.broken(line, "not_json", f"{where}: {error}")
            continue
        if unseen:
            shown = found if len(keys) < _SHOWN_KEYS else found.keys() & unseen
            keys.update(dict.fromkeys(shown))
            unseen -= found.keys()
        yield row
    if keys and unseen:
        table.check(list(keys))


def decode(text: str) -> Any:
    """Return the value of a JSON text, with its numbers as they are written.

    Raises:
        ValueError: if it is no JSON.
        RecursionError: if it is nested too deeply.
    """
    return _DECODER.decode(text)


def _parse(text: str) -> dict[str, Any]:
    found = decode(text)
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return found


def _constant(name: str) -> None:
    if name != "NaN":
        raise ValueError(f"{name} is no JSON")


# Numbers stay as they are written: an id of twenty digits is more than a float can hold. NaN is
# no JSON either, but it is what pandas and `json` of Python write for a missing value.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_constant)
