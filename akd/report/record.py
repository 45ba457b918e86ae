"""The record of a run: its parameters and the hashes of what it read and wrote, from dvc.lock."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from akd.errors import InputError

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads a lock 10 times as fast


class Hashed(NamedTuple):
    """A file or folder of a stage, as DVC knows it."""

    stage: str
    path: str
    md5: str
    size: int | None


@dataclass(frozen=True)
class Record:
    """What the last run was made of.

    Attributes:
        parameters: dotted name and value of every parameter that a stage of the run read.
        now: dotted name and value of every parameter in params.yaml.
        changed: dotted names of parameters that a stage reads and that have another value now, or
            are there on one side alone.
        written: what the stages wrote.
        tasks: the task's own files that they read.
    """

    parameters: Mapping[str, Any]
    now: Mapping[str, Any]
    changed: tuple[str, ...]
    written: tuple[Hashed, ...]
    tasks: tuple[Hashed, ...]

    def value(self, name: str) -> Any:
        """Return a parameter of the run, or else of params.yaml, or else an empty text."""
        return self.parameters.get(name, self.now.get(name, ""))


def read_record(lock: Path, params: Path) -> Record:
    """Read parameters and hashes; a file that does not exist has none.

    Raises:
        InputError: if one of them is not YAML, or the lock is not one of DVC's.
    """
    now = dict(flat(_read(params)))
    stages = _read(lock).get("stages", {})
    try:
        read: dict[str, Any] = {}
        for stage in stages.values():
            for values in stage.get("params", {}).values():
                read.update(values)
        parameters = dict(flat(read))
        written = tuple(_hashed(stages, "outs"))
        deps = {found.path: found for found in _hashed(stages, "deps")}
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{lock} is not a lock of DVC's: run `dvc repro` again") from None
    tasks = tuple(found for path, found in sorted(deps.items()) if path.startswith("data/tasks/"))
    return Record(parameters, now, tuple(_changed(read, now)), written, tasks)


def _changed(read: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names below each parameter of the lock that differ, but for one that is no more.

    DVC leaves the stages of a phase that was taken out in its lock.
    """
    for parameter in sorted(read):
        before = dict(flat({parameter: read[parameter]}))
        below = {k: v for k, v in now.items() if f"{k}.".startswith(f"{parameter}.")}
        for name in sorted(before.keys() | below.keys()) if below else ():
            if name not in before or name not in below or before[name] != below[name]:
                yield name


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted name and value of each leaf of nested mappings."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        found = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise InputError(f"{file} is not a YAML mapping: correct it")
    return found


def _hashed(stages: Mapping[str, Any], side: str) -> Iterator[Hashed]:
    for name, stage in stages.items():
        for found in stage.get(side, []):
            yield Hashed(name, found["path"], found.get("md5", ""), found.get("size"))
