"""Where the inventory of a model comes from: beside this file, from its folder, from its config."""

import functools
from pathlib import Path
from typing import Any, assert_never

import yaml

from akd.errors import InputError, reason_of
from akd.hub import hub_failures
from akd.io import read_json, write_json
from akd.planning.inventory import Inventory, cut, measure
from akd.specs.pairs import HubModel, LocalModel, Pair, PrunedModel, WheelModel, layer_numbers

CONFIGS = Path(__file__).with_name("configs.yaml")
INVENTORIES = Path(__file__).with_name("inventories.json")


def inventories_of(name: str, pair: Pair, models: Path, lock: Path) -> tuple[Inventory, Inventory]:
    """Return the inventories of teacher and student; at most a config.json is downloaded.

    Args:
        name: of the pair in params.yaml.
        pair: what params.yaml says of it.
        models: where the models stage writes.
        lock: dvc.lock, which says whose models those are.

    Raises:
        InputError: if the config of one of them cannot be had.
    """
    teacher = _inventory_of(pair.teacher, _resolved(name, "teacher", pair, models, lock))
    if isinstance(pair.student, PrunedModel):
        kept = layer_numbers(pair.student.layers, teacher.shape.layers)
        return teacher, cut(teacher, kept)
    return teacher, _inventory_of(pair.student, _resolved(name, "student", pair, models, lock))


def _inventory_of(spec: HubModel | LocalModel | WheelModel, resolved: Path | None) -> Inventory:
    match spec:
        case LocalModel():
            return _of_folder(spec.path)
        case HubModel():
            known, name = _shipped().get(spec.id), spec.id
        case WheelModel():
            known, name = _shipped().get(spec.member), spec.member
        case _:
            assert_never(spec)
    if known is not None:
        return Inventory.model_validate(known)
    if resolved is not None:
        return _of_folder(resolved)
    if isinstance(spec, HubModel):
        return _of_folder(_download(spec))
    raise InputError(
        f"the size of {name} is not known before it is unpacked: run `dvc repro models` first"
    )


def shipped_configs() -> dict[str, dict[str, Any]]:
    """Return what config.json of each shipped model says of its size."""
    configs: dict[str, dict[str, Any]] = yaml.safe_load(CONFIGS.read_text(encoding="utf-8"))
    return configs


def write_shipped_inventories() -> None:
    """Build each shipped model of its config on the meta device and write what was counted."""
    from transformers import AutoConfig

    found = {
        name: measure(AutoConfig.for_model(**facts)).model_dump(mode="json")
        for name, facts in shipped_configs().items()
    }
    write_json(INVENTORIES, found)


@functools.cache
def _shipped() -> dict[str, Any]:
    known: dict[str, Any] = read_json(INVENTORIES)
    return known


def _resolved(name: str, role: str, pair: Pair, models: Path, lock: Path) -> Path | None:
    """Return the folder of a model that the models stage wrote, if it is this one."""
    if not lock.is_file() or not (models / role / "config.json").is_file():
        return None
    stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"]
    tracked = stages.get("models", {}).get("params", {}).get("params.yaml", {})
    wanted = getattr(pair, role).model_dump(mode="json")
    return models / role if tracked.get(f"pairs.{name}.{role}") == wanted else None


def _of_folder(folder: Path) -> Inventory:
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} holds no config.json: name a folder written by save_pretrained")
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (ValueError, OSError) as error:
        raise InputError(
            f"{folder}/config.json describes no known model ({reason_of(error)})"
        ) from None
    return measure(config)


def _download(spec: HubModel) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(spec.id, "config.json", revision=spec.revision)).parent
    except hub_failures() as error:
        raise InputError(
            f"the config of {spec.id}@{spec.revision} is not known here and cannot be downloaded "
            f"({reason_of(error)}): check its name, your access (`hf auth login`) and the network"
        ) from None
