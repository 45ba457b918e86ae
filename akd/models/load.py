"""Loading: what a machine decides (device, dtype) and how a student is quantised."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, assert_never

import torch
from accelerate.utils import parse_flag_from_env
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from akd.errors import InputError
from akd.specs.adapters import Quantization

# The bars of long stages are our own; those of the library count weights.
disable_progress_bar()

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_WHOLE = Quantization(kind="none")


def device() -> torch.device:
    """Return the device of this process: the GPU of its rank where there is CUDA, else the CPU.

    `accelerate launch --cpu` means the CPU, too.
    """
    if not torch.cuda.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU"):
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def compute_dtype() -> torch.dtype:
    """Return the dtype in which this machine computes fastest without harm to the labels.

    bfloat16 where the hardware multiplies it, else float32: float16 is 2-8 times slower on a CPU,
    and training in it needs a scale of the loss. `AKD_DTYPE` overrides it.

    Raises:
        InputError: if `AKD_DTYPE` names no dtype.
    """
    wanted = os.environ.get("AKD_DTYPE")
    if wanted is not None:
        if wanted not in _DTYPES:
            raise InputError(f"AKD_DTYPE is {wanted!r}: set it to one of {', '.join(_DTYPES)}")
        return _DTYPES[wanted]
    if torch.cuda.is_available():
        multiplies = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        multiplies = torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if multiplies else torch.float32


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a resolved model; a missing pad token becomes the end token.

    So does one that was added without a row in the model: padding stands behind all that is read.

    Raises:
        InputError: if the folder holds no model, or its tokenizer has no token to pad with.
    """
    _check_resolved(folder)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        folder, local_files_only=True
    )
    rows = AutoConfig.from_pretrained(folder, local_files_only=True).vocab_size
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= rows:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise InputError(
            f"the tokenizer in {folder} has neither a token to pad with nor one that ends a text: "
            "name an `eos_token` of its words in tokenizer_config.json"
        )
    return tokenizer


@lru_cache(maxsize=4)  # asked in each step that predicts words, and some 40 ms long
def vocabulary_of(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return how many rows of a head stand for tokens: behind them a model may have padding.

    Numbers of tokens may leave some out, and so their count may be lower.
    """
    return max(tokenizer.get_vocab().values()) + 1


def load_model(folder: Path, quantization: Quantization) -> PreTrainedModel:
    """Load a resolved causal language model onto this machine's device, in evaluation mode.

    Args:
        folder: what the models stage wrote.
        quantization: of this model alone: a quantised student never quantises the teacher.

    Raises:
        InputError: if the folder holds no model.
    """
    return _load(folder, quantization, {"": device()})


def _load(
    folder: Path, quantization: Quantization, placement: dict[str, torch.device] | str
) -> PreTrainedModel:
    _check_resolved(folder)
    dtype = compute_dtype()
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        quantization_config=_bitsandbytes(quantization, dtype),
        device_map=placement,
        local_files_only=True,
        output_loading_info=True,
    )
    model: PreTrainedModel = loaded[0]
    missing: set[str] = loaded[1]["missing_keys"]
    if missing:  # they would be drawn at random, with a warning
        raise InputError(
            f"{folder} lacks weights that its config.json speaks of, such as {min(missing)}: "
            "choose other layers of its teacher, or another model"
        )
    if quantization.kind == "nf4":
        _keep_differentiable(model)
    model.eval()
    return model


def _check_resolved(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder} holds no model: run `dvc repro models`, or `dvc pull models`")


def _keep_differentiable(model: PreTrainedModel) -> None:
    """Leave 4-bit weights as they are packed, see the reason within."""
    from bitsandbytes.nn.modules import Linear4bit  # a second that other models need not wait for

    for module in model.modules():
        if isinstance(module, Linear4bit):
            # On AVX-512 a pass in evaluation mode would repack the weights in place for a kernel
            # that has no gradient: training after it would learn nothing below, in silence.
            module.support_avx512bf16_for_cpu = False


def _bitsandbytes(quantization: Quantization, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    match quantization.kind:
        case "none":
            return None
        case "nf4":
            return BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=dtype,
                # Packed weights that look like bfloat16 can be sharded with the others by FSDP.
                bnb_4bit_quant_storage=torch.bfloat16,
            )
        case _:
            assert_never(quantization.kind)


def load_teacher(
    folder: Path, quantization: Quantization = _WHOLE
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a teacher and its tokenizer.

    `AKD_DEVICE_MAP` says where its layers lie: `single` (if it is not set) puts all of them onto
    this machine's device, `auto` spreads them over its GPUs (on a machine with several: the
    design, not yet a measurement).

    Args:
        folder: what the models stage wrote.
        quantization: of the teacher, never that of its student.

    Raises:
        InputError: if `AKD_DEVICE_MAP` is neither, the GPUs together are too small, or the folder
            holds no model.
    """
    model = _load(folder, quantization, _placement())
    check_placed(model)
    return model, load_tokenizer(folder)


def check_placed(model: PreTrainedModel) -> None:
    """Refuse a model some of whose weights are fetched anew for every batch.

    Raises:
        InputError: if some weights lie on no device.
    """
    if any(part.device.type == "meta" for part in model.parameters()):
        raise InputError(
            "the teacher does not fit onto the GPUs of this machine: set "
            "`label.engine.quantization: nf4`, or take a smaller teacher"
        )


def _placement() -> dict[str, torch.device] | str:
    wanted = os.environ.get("AKD_DEVICE_MAP", "single")
    match wanted:
        case "single":
            return {"": device()}
        case "auto":
            return wanted
        case _:
            raise InputError(f"AKD_DEVICE_MAP is {wanted!r}: set it to single or auto")
