"""Rows out of Arrow tables, as Parquet files and data sets of Hugging Face give them."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from akd.corpus.sources.json_lines import decode
from akd.corpus.sources.row import Row
from akd.corpus.sources.table import Table
from akd.errors import InputError, reason_of

ROWS_PER_BATCH = 512
"""How many rows are in memory at a time."""


def rows(batches: Iterable[pa.RecordBatch | pa.Table], table: Table) -> Iterator[Row]:
    """Yield the rows of batches that have all columns of the table.

    Raises:
        InputError: if a column holds lists, structures or something else that is no text.
    """
    number = 0
    for batch in batches:
        cells = [_cells(batch.column(name), name, table) for name in table.columns.values()]
        for values in zip(*cells, strict=True):
            number += 1
            named = dict(zip(table.columns, values, strict=True))
            yield table.article(named, f"{table.place}: row {number}")


def _cells(column: pa.Array | pa.ChunkedArray, name: str, table: Table) -> list[Any]:
    kind = column.type
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column)  # what pandas has for a missing value
    try:
        # Bytes first: of a text that is not UTF-8 one row is lost, and not the batch.
        if not _holds_bytes(kind):
            column = column.cast(pa.string())
        cells = column.cast(pa.large_binary()).to_pylist()
        texts = [None if cell is None else cell.decode(errors="surrogateescape") for cell in cells]
        # What `datasets` makes of a column whose values are of several types.
        is_json = str(kind) == "extension<arrow.json>"
        return [text and decode(text) for text in texts] if is_json else texts
    except (pa.ArrowException, ValueError, RecursionError) as error:
        raise InputError(
            f"{table.name}: column {name!r} ({kind}) cannot be read as text "
            f"({reason_of(error)}): name another one in `columns` of the source"
        ) from None


def _holds_bytes(kind: pa.DataType) -> bool:
    # The name tells all of them: string, large_string, string_view, binary, fixed_size_binary ...
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    return "string" in str(values) or "binary" in str(values)
