"""Parquet files of the user."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from akd.corpus.sources import arrow
from akd.corpus.sources.row import Row
from akd.corpus.sources.table import Table
from akd.errors import InputError, reason_of

_BUFFER_BYTES = 2**20


def read(path: Path, table: Table) -> Iterator[Row]:
    """Yield the rows of a file; only the columns that the task names are read.

    Raises:
        InputError: if the file is broken, or a column that the task names is missing or no text.
    """
    try:
        # Without a buffer of its own for each column, or with pre_buffer, a whole row group is
        # read at once, and some files have but one.
        with pq.ParquetFile(
            path, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True
        ) as file:
            table.check(file.schema_arrow.names)
            names = sorted(set(table.columns.values()))
            batches = file.iter_batches(arrow.ROWS_PER_BATCH, columns=names, use_threads=False)
            yield from arrow.rows(batches, table)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} cannot be read ({reason_of(error)}): check that it is whole"
        ) from None
