"""States of articles in a file on disk: nameless while they are written, then kept for others."""

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple, Self

import torch
from filelock import FileLock

from akd.console import say
from akd.errors import InputError
from akd.io import read_json, replacing, write_json

_STATES, _PLACES = "states.bin", "places.json"


class Place(NamedTuple):
    """Of an article: at which byte its states begin, how many, how wide and of which dtype."""

    start: int
    length: int
    width: int
    dtype: str


class KeptStates:
    """States (length, width) of articles by key, one after another in a file.

    Args:
        file: which they stand in; it is closed with the last reference to this.
        places: where in it.
    """

    def __init__(self, file: IO[bytes], places: Mapping[str, Place]) -> None:
        self._file = file
        self._places = dict(places)
        self.size = sum(_bytes(place) for place in self._places.values())
        weakref.finalize(self, file.close)

    @classmethod
    def nameless(cls, folder: Path) -> Self:
        """Return an empty one, whose file ends with the process, however that ends."""
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - lives as long as this
        return cls(file, {})

    @classmethod
    def published(cls, folder: Path) -> Self | None:
        """Return what another training has published; None where there is nothing."""
        try:
            file = (folder / _STATES).open("rb", buffering=0)
            raw = read_json(folder / _PLACES)
        except (FileNotFoundError, InputError):  # it may be removed while it is opened
            return None
        return cls(file, {key: Place(*place) for key, place in raw.items()})

    def publish(self, folder: Path) -> None:
        """Copy all of it into a folder, in whose place no half of it is ever met.

        What else lies beside that folder is removed: it is of other articles or another model.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent.with_name(f"{folder.parent.name}.lock")):
            if all((folder / name).is_file() for name in (_STATES, _PLACES)):
                return
            for other in folder.parent.iterdir():
                shutil.rmtree(other, ignore_errors=True)
            try:
                with replacing(folder) as aside:
                    self._file.seek(0)
                    with (aside / _STATES).open("wb") as copy:
                        shutil.copyfileobj(self._file, copy, 2**24)
                    write_json(aside / _PLACES, self._places)
            except OSError as error:
                say(f"the next phase computes frozen blocks anew: {folder}: {error.strerror}")

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def add(self, key: str, states: torch.Tensor) -> None:
        """Append the states of an article.

        Raises:
            InputError: if the disk is full.
        """
        content = memoryview(states.view(torch.uint8).numpy().tobytes())
        length, width = states.shape
        place = Place(self.size, length, width, str(states.dtype).removeprefix("torch."))
        try:
            self._file.seek(self.size)
            while content:
                content = content[self._file.write(content) :]
        except OSError as error:
            raise InputError(
                f"the states of frozen blocks cannot be kept on disk ({error.strerror}): lower "
                "distill.frozen_cache_gib, with 0 they are computed in each step"
            ) from None
        self._places[key] = place
        self.size += _bytes(place)

    def read(self, keys: Sequence[str], longest: int) -> torch.Tensor:
        """Return the states of these articles (batch, longest, width), zero behind their ends."""
        first = self._places[keys[0]]
        states = torch.zeros(len(keys), longest, first.width, dtype=getattr(torch, first.dtype))
        for row, (place, content) in enumerate(self._contents(keys)):
            own = torch.frombuffer(content, dtype=states.dtype)
            states[row, : place.length] = own.view(place.length, place.width)
        return states

    def clear(self) -> None:
        """Forget all of it, and give the disk back."""
        self._places.clear()
        self._file.truncate(0)
        self.size = 0

    def _contents(self, keys: Sequence[str]) -> Iterator[tuple[Place, bytearray]]:
        for key in keys:
            place = self._places[key]
            self._file.seek(place.start)
            yield place, bytearray(self._file.read(_bytes(place)))


def _bytes(place: Place) -> int:
    return place.length * place.width * int(getattr(torch, place.dtype).itemsize)
