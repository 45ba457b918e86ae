"""A task as data: its labels, verbalizers, severity, domains and sources (data/tasks/<name>/)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from akd.errors import InputError
from akd.io import read_json_lines, read_text
from akd.specs.sources import Domain, Source

T = TypeVar("T")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Severity(_Frozen):
    """What a prediction of a label means for an alert; the weight lies between 0 and 1."""

    level: str
    weight: float = Field(ge=0, le=1)


class Label(_Frozen):
    """One class. Labels that share `coarse` are one class of the simpler task of phase 1."""

    name: str
    definition: str
    coarse: str
    severity: Severity


class Tenses(_Frozen):
    """Phrases that place what an article tells in time."""

    present: list[str] = Field(min_length=1)
    future: list[str] = Field(min_length=1)
    past: list[str] = Field(min_length=1)


class RationaleSeeds(_Frozen):
    """How the teacher is asked for the reason of a label.

    `instruction` takes the place of the prompt's; `{labels}` in it stands for the label words. The
    label word stands after the prompt's cue, then `cue`, then the reason in one sentence.
    """

    instruction: str
    cue: str = Field(min_length=1)


class PromptSeeds(_Frozen):
    """Where the prompt search starts, each list with its best guess first.

    `{labels}` in an instruction stands for the label words; `articles` and `cues` stand before and
    after each article; each list of `verbalizers` has one word for each label, in their order.
    `rationale` is needed where the teacher is to give reasons (`label.rationales`).
    """

    systems: list[str] = Field(min_length=1)
    instructions: list[str] = Field(min_length=1)
    articles: list[str] = Field(min_length=1)
    cues: list[str] = Field(min_length=1)
    verbalizers: list[list[str]] = Field(min_length=1)
    rationale: RationaleSeeds | None = None


class Task(_Frozen):
    """The definition of a task, read from its task.yaml."""

    name: str
    description: str
    labels: list[Label] = Field(min_length=2)
    tenses: Tenses
    prompt: PromptSeeds
    sources: list[Source] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = self.label_names
        if len(set(names)) < len(names):
            raise ValueError("two labels have the same name")
        if len({label.coarse for label in self.labels}) < 2:
            raise ValueError("`coarse` must split the labels into at least two groups")
        for words in self.prompt.verbalizers:
            if len(set(words)) != len(names):
                raise ValueError(f"verbalizers {words} must be one distinct word for each label")
        return self

    @property
    def reason_cue(self) -> str:
        """Return what stands before a reason; empty where the task asks for none."""
        return "" if self.prompt.rationale is None else self.prompt.rationale.cue

    @property
    def label_names(self) -> list[str]:
        """The label names, in the order that every class axis of the project has."""
        return [label.name for label in self.labels]

    @property
    def coarse_groups(self) -> list[int]:
        """For each label the index of its group, in the order in which groups first appear."""
        groups = list(dict.fromkeys(label.coarse for label in self.labels))
        return [groups.index(label.coarse) for label in self.labels]


class Example(_Frozen):
    """One annotated article. `text` is empty where the id names a fetched article."""

    id: str
    label: str
    reason: str = ""
    title: str = ""
    text: str = ""


def load_task(path: Path) -> Task:
    """Read and check a task.yaml.

    Raises:
        InputError: if the file is missing, not YAML, or breaks the schema (the key is named).
    """
    if not path.is_file():
        known = sorted(folder.parent.name for folder in path.parent.parent.glob("*/task.yaml"))
        raise InputError(
            f"task {path.parent.name!r} has no {path}: choose one of {', '.join(known) or 'none'} "
            "(`-S task=<name>`), or create the file"
        )
    return _validated(path, TypeAdapter(Task))


def load_domains(path: Path) -> dict[str, Domain]:
    """Read and check a domains.yaml: what the filter looks for and API sources ask for.

    Raises:
        InputError: if the file is missing, not YAML, or breaks the schema (the key is named).
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: create it, a domain with `keywords` an entry")
    domains = _validated(path, TypeAdapter(dict[str, Domain]))
    if not domains:
        raise InputError(f"{path} names no domain: give it at least one with `keywords`")
    return domains


def _validated(path: Path, schema: TypeAdapter[T]) -> T:
    try:
        return schema.validate_python(yaml.safe_load(read_text(path)))
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{path}: {place}: {first['msg']}: correct the task") from None


def load_held_out(folder: Path, labels: Sequence[str]) -> list[Example]:
    """Read shots and gold of a task's folder: all that must not reach the student's training.

    Raises:
        InputError: as `load_examples`, or if an article is in both.
    """
    shots, gold = (load_examples(folder / f"{name}.jsonl", labels) for name in ("shots", "gold"))
    for kind, of_shots, of_gold in (
        ("id", {e.id for e in shots}, {e.id for e in gold}),
        ("text", {e.text for e in shots if e.text}, {e.text for e in gold if e.text}),
    ):
        if both := of_shots & of_gold:
            raise InputError(
                f"{folder}: the {kind} {min(both)[:60]!r} is among shots and gold, so that figures "
                "would be of what was learnt: take it out of one of them"
            )
    return [*shots, *gold]


def load_examples(path: Path, labels: Sequence[str]) -> list[Example]:
    """Read annotated examples (shots or gold), one JSON object a line.

    Raises:
        InputError: for a line that breaks the schema, an unknown label, or an id named twice.
    """
    examples: list[Example] = []
    seen: set[str] = set()
    for number, row in enumerate(read_json_lines(path), start=1):
        try:
            example = Example.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(f"{path}: example {number}: {first['loc']}: {first['msg']}") from None
        if example.label not in labels:
            raise InputError(
                f"{path}: example {number} has the unknown label {example.label!r}: "
                f"use one of {', '.join(labels)}"
            )
        if example.id in seen:
            raise InputError(f"{path}: example {number} repeats the id {example.id}: remove one")
        seen.add(example.id)
        examples.append(example)
    return examples
