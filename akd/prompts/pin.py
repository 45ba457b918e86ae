"""A prompt that a person pins in params.yaml, so that the task is searched no more."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from akd.errors import InputError
from akd.io import read_text, write_text
from akd.prompts.demonstrations import Shot, demonstration
from akd.prompts.template import Prompt
from akd.specs.prompts import Pin


def pin_of(prompt: Prompt) -> Pin:
    """Return a prompt as params.yaml holds it: without the texts of its shots."""
    parts = prompt.model_dump(mode="json", exclude={"demonstrations"})
    return Pin.model_validate({**parts, "shots": [shown.shot for shown in prompt.demonstrations]})


def pinned_prompt(pin: Pin, shots: Sequence[Shot], labels: int, characters: int) -> Prompt:
    """Return the prompt of a pin.

    Args:
        pin: what a person has chosen.
        shots: of the task.
        labels: how many labels the task has.
        characters: to which a shot is cut.

    Raises:
        InputError: if it has not one distinct word and one place for each label, or shows a shot
            that there is not.
    """
    if len(set(pin.words)) != labels or len(pin.words) != labels:
        raise InputError(
            f"the pinned prompt has the words {', '.join(pin.words)}, but the task {labels} "
            "labels: give it one distinct word for each, in their order"
        )
    if sorted(pin.order) != list(range(labels)):
        raise InputError(
            f"the pinned prompt has the order {pin.order}: name each of 0 to {labels - 1} once"
        )
    known = {shot.id: shot for shot in shots}
    if missing := [key for key in pin.shots if key not in known]:
        raise InputError(
            f"the pinned prompt shows the shot {missing[0]!r}, which is none of the {len(shots)} "
            "that `prompt.shots` takes of shots.jsonl: name ids of these, or none (`shots: []`)"
        )
    shown = tuple(demonstration(known[key], characters) for key in pin.shots)
    parts = pin.model_dump(exclude={"shots"})
    return Prompt.model_validate({**parts, "demonstrations": shown})


def read_pin(path: Path, rest: Pin) -> Pin:
    """Read a hand-written prompt, YAML or JSON; what it does not name is taken from `rest`.

    Raises:
        InputError: if it is missing, no mapping, or breaks the schema (the key is named).
    """
    try:
        raw = yaml.safe_load(read_text(path))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: write the prompt's parts into it") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, Mapping):
        raise InputError(f"{path} is no mapping: name parts like `instruction:` and `cue:`")
    return changed(rest, raw, str(path))


def changed(pin: Pin, parts: Mapping[str, Any], where: str) -> Pin:
    """Return a pin with other parts.

    Raises:
        InputError: if a part is unknown or of the wrong type.
    """
    try:
        return Pin.model_validate({**pin.model_dump(), **parts})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        known = ", ".join(Pin.model_fields)
        raise InputError(f"{where}: {place}: {first['msg']}: the parts are {known}") from None


def write_pins(path: Path, pins: Mapping[str, Pin]) -> None:
    """Write `prompt.pins` into a params.yaml as one line; nothing else in the file changes.

    Raises:
        InputError: if the file has no such key.
    """
    text = path.read_bytes().decode()  # with the ends of lines as they are
    place = _value_of(yaml.compose(text, yaml.SafeLoader), ("prompt", "pins"))
    if place is None:
        raise InputError(f"{path} has no `prompt.pins`: add `pins: {{}}` to `prompt`")
    value = {task: pin.model_dump(mode="json") for task, pin in sorted(pins.items())}
    start, end = place.start_mark.index, place.end_mark.index
    rest = text[end:] if place.flow_style else f"\n{' ' * place.end_mark.column}{text[end:]}"
    write_text(path, f"{text[:start]}{json.dumps(value, ensure_ascii=False)}{rest}")


def _value_of(node: yaml.Node | None, keys: Sequence[str]) -> yaml.MappingNode | None:
    """Return the mapping that stands under these keys."""
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            return None
        found = [value for name, value in node.value if name.value == key]
        node = found[0] if found else None
    return node if isinstance(node, yaml.MappingNode) else None
