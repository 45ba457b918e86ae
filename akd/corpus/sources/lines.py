"""The lines of a text file of the user, plain or compressed."""

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path

from akd.errors import InputError

COMPRESSIONS = (".gz", ".bz2", ".xz")
"""Suffixes of the compressed files that can be read."""

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_lines(path: Path, newline: str) -> Iterator[str]:
    r"""Yield the lines of a file with their ends, one at a time.

    Bytes that are not UTF-8 become surrogates (`surrogateescape`), so that one damaged line
    does not cost the others; a byte order mark at the start is passed over.

    Args:
        newline: what ends a line, as of `open`: "\n", or "" for any end.

    Raises:
        InputError: if the file cannot be read to its end, or is UTF-16 or UTF-32.
    """
    try:
        with _open(path) as file:
            start = file.peek(4)[:4]
            # UTF-8 has a zero byte only for the character NUL, with which no table begins.
            if start.startswith(_UTF_16) or b"\0" in start:
                raise InputError(f"{path} is UTF-16 or UTF-32: save it as UTF-8")
            yield from io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path} cannot be read ({error}): check that it is whole") from None


def _open(path: Path) -> io.BufferedReader:
    match path.suffix.lower():
        case ".gz":
            return io.BufferedReader(gzip.GzipFile(path))
        case ".bz2":
            return io.BufferedReader(bz2.BZ2File(path))
        case ".xz":
            return io.BufferedReader(lzma.LZMAFile(path))
        case _:
            return path.open("rb")
