"""Articles inside a PyPI wheel."""

import io
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from akd import wheels
from akd.errors import InputError
from akd.specs.sources import Collection, WheelSource

Story = tuple[str, str]
"""Title and text of one article."""


class PlainUnpickler(pickle.Unpickler):
    """An unpickler of plain types: it refuses every global, so that loading runs no code."""

    def find_class(self, module: str, name: str, /) -> NoReturn:
        """Refuse: a pickle that names a class or function is not data.

        Raises:
            pickle.UnpicklingError: always.
        """
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def read(source: WheelSource) -> Iterator[dict[str, str]]:
    """Yield the articles of a wheel in the order of its members, as rows without an id.

    Raises:
        InputError: if the wheel, a member or its content is not what the task says.
    """
    path = wheels.fetch(source.wheel)
    for collection in source.collections:
        for title, text in _stories(path, collection, source.encodings):
            yield {
                "source": source.name,
                "domain": collection.domain,
                "language_hint": source.language,
                "title": title,
                "text": text,
                "published": "",
            }


def _stories(path: Path, collection: Collection, encodings: Sequence[str]) -> Iterator[Story]:
    for name, content in wheels.read_members(path, collection.members):
        match collection.format:
            case "document":
                title, _, text = _decode(name, content, encodings).partition("\n")
                yield title.strip(), text.strip()
            case "lines":
                for line in _decode(name, content, encodings).splitlines():
                    yield "", line.strip()
            case "pickled_columns":
                yield from _unpickle(name, content)


def _decode(name: str, content: bytes, encodings: Sequence[str]) -> str:
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError(f"{name} is in none of {', '.join(encodings)}: add its encoding to the source")


def _unpickle(name: str, content: bytes) -> Iterator[Story]:
    try:
        columns: Any = PlainUnpickler(io.BytesIO(content)).load()
    except pickle.UnpicklingError as error:
        raise InputError(f"{name} is not a pickle of plain data ({error}): do not use it") from None
    if not isinstance(columns, tuple | list) or len(columns) < 2:
        raise InputError(f"{name} does not hold parallel columns: correct `format`")
    titles, texts = columns[0], columns[1]
    if len(titles) != len(texts):
        raise InputError(f"{name}: {len(titles)} titles but {len(texts)} texts: do not use it")
    yield from ((str(title), str(text)) for title, text in zip(titles, texts, strict=True))
