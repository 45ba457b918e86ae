"""Articles in files of the user: CSV, JSON lines or Parquet."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from akd.errors import InputError
from akd.task import FilesSource


def read(source: FilesSource, folder: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of the files under `folder`, by path; `id` only where a column names it.

    Raises:
        InputError: if a glob matches no file, a file cannot be read or is empty, or a column
            that the task names is missing.
    """
    for pattern in source.paths:
        paths = sorted(path for path in folder.glob(pattern) if path.is_file())
        if not paths:
            raise InputError(f"{folder / pattern} matches no file: put your articles there")
        for path in paths:
            frame = _read_frame(path)
            yield from _articles(frame, source, path)


def _read_frame(path: Path) -> pl.DataFrame:
    try:
        match path.suffix:
            case ".csv":
                frame = pl.read_csv(path, infer_schema=False)
            case ".jsonl":
                frame = pl.read_ndjson(path, infer_schema_length=None)
            case ".parquet":
                frame = pl.read_parquet(path)
            case suffix:
                raise InputError(f"{path}: cannot read {suffix!r}: use .csv, .jsonl or .parquet")
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read ({reason}): check that it is whole") from None
    if frame.is_empty():
        raise InputError(f"{path} has no rows: fill it or take it out of the source")
    return frame


def _articles(frame: pl.DataFrame, source: FilesSource, path: Path) -> Iterator[dict[str, str]]:
    missing = sorted(set(source.columns.values()) - set(frame.columns))
    if missing:
        raise InputError(
            f"{path} has no column {missing[0]!r} (it has {', '.join(frame.columns)}): "
            f"correct `columns` of the source {source.name!r}"
        )
    fixed = {
        "source": source.name,
        "domain": source.domain,
        "language_hint": source.language,
        "title": "",
        "text": "",
        "published": "",
    }
    named = frame.select(
        pl.col(theirs).cast(pl.String).fill_null("").alias(ours)
        for ours, theirs in source.columns.items()
    )
    yield from ({**fixed, **row} for row in named.iter_rows(named=True))
