"""QLoRA steps of a random LLaMA on the CPU, in a process of its own; prints its peak memory.

    python -m benchmarks.nf4_step --width 6656 --layers 60 --batch 1 --length 64

The model is built on the meta device and filled matrix by matrix, each quantised at once, so that
of no more than one matrix of a size 16 bits a weight are held. The project's own code trains it,
for two steps: only the second finds the optimizer's moments there.
"""

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import torch
import typer
from bitsandbytes.nn.modules import Linear4bit, Params4bit
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, PreTrainedModel
from transformers.integrations.bitsandbytes import replace_with_bnb_linear

from akd.distill.data import collator, dataset_of
from akd.distill.losses.classes import soft_cross_entropy
from akd.distill.progress import Progress
from akd.distill.sampling import EpochSampler
from akd.distill.trainer import Batch, Term, train
from akd.models import adapters
from akd.models.student import LabelWordStudent, StudentOutput
from akd.params import load
from akd.specs.adapters import Adapter
from benchmarks.meter import status

LABELS = (5, 6, 7)
Size = Annotated[int, typer.Option(min=1)]


def config_of(width: int, layers: int) -> LlamaConfig:
    """Return a LLaMA of this width (Touvron et al. 2023: heads of 128, MLP of 8/3 in 256s)."""
    return LlamaConfig(
        hidden_size=width,
        intermediate_size=256 * math.ceil(8 * width / 3 / 256),
        num_hidden_layers=layers,
        num_attention_heads=width // 128,
        vocab_size=32000,
        tie_word_embeddings=False,
    )


def adapter_of(spec: Adapter) -> Adapter:
    """Return a LoRA on all linear layers, with the rank of params.yaml."""
    changes = {"kind": "lora", "targets": "all-linear", "frozen_share": 0.0}
    return spec.model_copy(update=changes)


def main(width: Size, layers: Size, batch: Size, length: Size) -> None:
    """Build, train two steps, and print peak and steady memory in bytes."""
    settings = load()
    model = quantised_model(config_of(width, layers))
    with TemporaryDirectory() as scratch:
        adapters.write_empty(Path(scratch))
        adapted = adapters.attach(model, adapter_of(settings.adapter), Path(scratch), train=True)
    generator = np.random.default_rng(settings.seed)
    tokens = generator.integers(8, 32000, (batch, length)).tolist()
    targets = generator.dirichlet(np.ones(len(LABELS)), batch)
    progress = Progress()
    with TemporaryDirectory() as checkpoints:
        train(
            LabelWordStudent(adapted, LABELS).train(),
            dataset_of(tokens, targets, targets.argmax(axis=1), None, None),
            {"soft_cross_entropy": Term(1.0, _loss)},
            EpochSampler(np.arange(batch), 2, settings.seed),
            progress,
            ids=[str(row) for row in range(batch)],
            collate=collator(0),
            optimizer=settings.optimizer.model_copy(update={"batch_size": batch}),
            seed=settings.seed,
            checkpoints=Path(checkpoints),
        )
    print(
        json.dumps(
            {"loss": progress.losses[0]["loss"], "peak": status("VmHWM"), "held": status("VmRSS")}
        )
    )


def _loss(output: StudentOutput, batch: Batch) -> torch.Tensor:
    return soft_cross_entropy(output.logits, batch["targets"], 1.0)


def quantised_model(config: LlamaConfig) -> PreTrainedModel:
    """Return a random model whose linear layers are in NF4, the rest in bfloat16."""
    torch.manual_seed(0)
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    plan = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model = replace_with_bnb_linear(model, ["lm_head"], plan)
    drawn: dict[tuple[int, int], torch.Tensor] = {}  # one for each size: drawing takes longest
    for module in model.modules():
        if isinstance(module, Linear4bit):
            shape = (module.out_features, module.in_features)
            if shape not in drawn:
                drawn[shape] = torch.randn(shape, dtype=torch.bfloat16) * 0.02
            module.weight = Params4bit(
                drawn[shape], requires_grad=False, quant_type="nf4", compress_statistics=True
            ).cpu()
            continue
        for name, parameter in module.named_parameters(recurse=False):
            filled = torch.randn(parameter.shape, dtype=parameter.dtype) * 0.02
            setattr(module, name, torch.nn.Parameter(filled, requires_grad=False))
    model.model.rotary_emb = type(model.model.rotary_emb)(config)  # its frequencies are no weights
    model.is_loaded_in_4bit = True  # type: ignore[assignment]
    return model


if __name__ == "__main__":
    typer.run(main)
