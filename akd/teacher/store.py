"""Finished work of the teacher, kept outside the outputs: an interruption loses one shard.

A store is a folder `.akd/<fingerprint>/`: a manifest with everything that decides a score besides
the text (model, tokenizer and prompt, which blocks' states are kept, how much of a text is read,
data type, device, and the versions of the libraries that compute), and shards of scores (or of
reasons), each with the hashes of its texts and named after them. A text is scored once: a new
article costs one call, another prompt or other blocks all of them, another loss none. Shards are
written aside and renamed, so that a process that is killed leaves whole ones alone, and two
processes may fill one store.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from akd.console import bar
from akd.errors import InputError
from akd.io import (
    fingerprint,
    read_json,
    read_tensors,
    resume_folder,
    write_json,
    write_tensors,
)

_MANIFEST = "manifest.json"
_KEYS = "keys"
_NAMED, _BEGINNING = 5, 60  # refused texts that are named, and characters of each

T = TypeVar("T")


class UnfinishedError(InputError):
    """A teacher ends before its last text, and what it has said until then was paid for.

    Args:
        message: one sentence, as of every `InputError`.
        rows: of the texts that are done.
        found: of these texts, in the order of the rows.
    """

    def __init__(self, message: str, rows: Sequence[int], found: Any) -> None:
        super().__init__(message)
        self.rows, self.found = rows, found


class RefusedError(UnfinishedError):
    """A teacher has no answer to some texts, and may well have one to all others.

    Args:
        teacher: how an error names it.
        refused: what it says of each of these texts.
        rows, found: as of every `UnfinishedError`.
    """

    def __init__(
        self, teacher: str, refused: Mapping[str, str], rows: Sequence[int], found: Any
    ) -> None:
        begun = [repr(" ".join(text.split())[:_BEGINNING]) for text in [*refused][:_NAMED]]
        reason = next(iter(refused.values()))
        message = (
            f"{teacher} refuses {len(refused)} of the articles (those that begin "
            f"{', '.join(begun)}{', ...' * (len(refused) > _NAMED)}); of the first it says: "
            f"{reason}: change what it names, leave these articles out of their source, or choose "
            "another teacher (answers to others are kept)"
        )
        super().__init__(message, rows, found)
        self.teacher, self.refused = teacher, refused


def open_store(ingredients: Mapping[str, Any], kind: Callable[..., T]) -> "Store[T]":
    """Open or begin the store of these ingredients in this repository."""
    return Store(resume_folder() / fingerprint(ingredients), ingredients, kind)


class Store(Generic[T]):
    """What was found of single texts, found again by what the text is.

    Args:
        folder: is begun where there is none.
        ingredients: everything that decides a score besides the text, as plain JSON values.
        kind: a dataclass of arrays (texts, ...), such as `Scores`.

    Raises:
        InputError: if the folder was begun with other ingredients, or a shard cannot be read.
    """

    def __init__(
        self, folder: Path, ingredients: Mapping[str, Any], kind: Callable[..., T]
    ) -> None:
        self._folder = folder
        self._kind = kind
        self.fingerprint = fingerprint(ingredients)
        self._begin(json.loads(json.dumps(ingredients)))
        self._places: dict[bytes, tuple[Path, int]] = {}
        for shard in sorted(folder.glob("*.safetensors")):
            self._enter(shard)

    def __len__(self) -> int:
        """Return how many texts it holds."""
        return len(self._places)

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Return the texts that have no score yet, each once, in their order."""
        return [text for text in dict.fromkeys(texts) if _key(text) not in self._places]

    def add(self, texts: Sequence[str], scores: T) -> None:
        """Keep the scores of these texts, as one shard."""
        keys = np.frombuffer(b"".join(map(_key, texts)), np.uint8).reshape(len(texts), -1)
        name = f"{hashlib.sha256(keys.tobytes()).hexdigest()[:32]}.safetensors"
        tensors = {_KEYS: keys.copy(), **vars(scores)}
        write_tensors(
            self._folder / name, {key: torch.from_numpy(array) for key, array in tensors.items()}
        )
        self._enter(self._folder / name)

    def read(self, texts: Sequence[str]) -> T:
        """Return the scores of texts none of which is missing, in their order."""
        rows: dict[Path, list[tuple[int, int]]] = {}
        for row, text in enumerate(texts):
            shard, place = self._places[_key(text)]
            rows.setdefault(shard, []).append((row, place))
        found: dict[str, NDArray[Any]] = {}
        for shard, pairs in rows.items():
            wanted, places = np.array(pairs).T
            for name, tensor in read_tensors(shard).items():
                if name != _KEYS:
                    array = tensor.numpy()
                    shape = (len(texts), *array.shape[1:])
                    whole = found.setdefault(name, np.empty(shape, array.dtype))
                    whole[wanted] = array[places]
        return self._kind(**found)

    def _begin(self, ingredients: Any) -> None:
        manifest = self._folder / _MANIFEST
        if not manifest.is_file() and not any(self._folder.glob("*.safetensors")):
            write_json(manifest, ingredients)
        kept = read_json(manifest)
        names = kept.keys() | ingredients.keys()
        other = sorted(n for n in names if kept.get(n) != ingredients.get(n))
        if other:
            raise InputError(
                f"{self._folder} holds scores of another teacher ({', '.join(other)} differ): "
                "delete the folder, or move it away"
            )

    def _enter(self, shard: Path) -> None:
        """Note which texts a shard holds, without reading their scores."""
        try:
            with safe_open(shard, "np") as content:
                keys = content.get_tensor(_KEYS)
        except (SafetensorError, OSError) as error:
            raise InputError(f"{shard} cannot be read ({error}): delete it and run again") from None
        for row, key in enumerate(keys):
            self._places.setdefault(key.tobytes(), (shard, row))


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def score_all(
    score: Callable[[Sequence[str]], T],
    texts: Sequence[str],
    store: Store[T],
    shard_articles: int,
) -> T:
    """Score what the store does not hold, in shards of like length, each kept when it is done.

    Returns:
        Scores of all texts, in their order.

    Raises:
        RefusedError: if `score` refuses some texts; all others are scored and kept before, unless
            not one of them was ever answered: then it is not the texts.
        InputError: as `score` raises it; what was done of the shard is kept.
    """
    if not texts:
        return score(texts)
    missing = sorted(store.missing(texts), key=lambda text: (len(text), text))
    refused: dict[str, str] = {}
    teacher = ""
    with bar(description="teacher", unit="article", total=len(missing)) as progress:
        for start in range(0, len(missing), shard_articles):
            shard = missing[start : start + shard_articles]
            try:
                store.add(shard, score(shard))
            except UnfinishedError as failure:
                if failure.rows:
                    store.add([shard[row] for row in failure.rows], failure.found)
                if not isinstance(failure, RefusedError):
                    more = f"; before, {len(refused)} articles were refused" if refused else ""
                    raise InputError(f"{failure}{more}") from None
                refused, teacher = {**refused, **failure.refused}, failure.teacher
                if not store:
                    break
            progress.update(len(shard))
    if refused:
        raise RefusedError(teacher, refused, [], None)
    return store.read(texts)
