"""A plain loop that runs the teacher beside the student, in a process of its own.

What one would write first with transformers and PEFT: both models on the same tokens, logits over
the whole vocabulary at every position, and the divergence at each of them, in float32 as in the
code of MiniLLM (and as akd computes its losses). With `--classes` the same loop for a classifier:
the divergence of the label words at the last position alone. See `benchmarks.step`.
"""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import torch
import typer
from torch import nn
from transformers import PreTrainedModel

from akd import params
from akd.io import read_json, write_json
from akd.models import adapters
from akd.models.architecture import class_logits
from akd.models.batching import pad_right
from akd.models.load import load_model, load_tokenizer
from akd.specs.adapters import Quantization
from benchmarks.meter import Meter
from benchmarks.phases import DATA, STUDENT, read_as

TEACHER = DATA / "models" / "teacher"


def main(
    out: Path,
    batches: Annotated[Path, typer.Option(help="The tokens of each step.")],
    steps: Annotated[int, typer.Option()],
    classes: Annotated[bool, typer.Option(help="Compare label words, not all words.")] = False,
) -> None:
    """Train on the first batches; write the figures."""
    settings = params.load()
    tokenizer = load_tokenizer(STUDENT)
    pad_token = int(tokenizer.pad_token_id)
    labels = torch.tensor(read_as(settings).label_tokens(tokenizer))
    said = partial(_classes, labels=labels) if classes else _words
    teacher = load_model(TEACHER, Quantization(kind="none"))
    student = load_model(STUDENT, settings.quantization)
    meter = Meter(student, teacher)
    with TemporaryDirectory() as start:
        adapters.write_empty(Path(start))
        adapted = adapters.attach(student, settings.adapter, Path(start), train=True).train()
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    spec = settings.optimizer
    optimizer = torch.optim.AdamW(weights, lr=spec.learning_rate, weight_decay=spec.weight_decay)
    for batch in read_json(batches)[:steps]:
        tokens, lengths = pad_right(batch, pad_token)
        mask = torch.arange(tokens.shape[1]) < lengths[:, None]
        counted = torch.ones(len(lengths), 1) if classes else mask
        with torch.no_grad():
            taught = said(teacher, tokens, mask)
        learnt = said(student, tokens, mask)
        each = nn.functional.kl_div(learnt, taught, reduction="none", log_target=True).sum(-1)
        torch.autograd.backward((each * counted).sum() / counted.sum())
        nn.utils.clip_grad_norm_(weights, spec.max_gradient_norm)
        optimizer.step()
        optimizer.zero_grad()
    trainable, _ = adapters.trainable_share(adapted)
    figures = meter.figures(settings.optimizer.batch_size)
    write_json(out, {**figures, "trainable_parameters": trainable})


def _words(model: PreTrainedModel, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities of all words at each position (batch, length, vocabulary)."""
    logits: torch.Tensor = model(input_ids=tokens, attention_mask=mask).logits
    return logits.log_softmax(-1, dtype=torch.float32)


def _classes(
    model: PreTrainedModel, tokens: torch.Tensor, mask: torch.Tensor, *, labels: torch.Tensor
) -> torch.Tensor:
    """Return log-probabilities of the label words behind each article (batch, 1, labels)."""
    hidden = model.base_model(input_ids=tokens, attention_mask=mask).last_hidden_state
    decision = hidden[torch.arange(len(mask)), mask.sum(1) - 1]
    return class_logits(model, decision, labels).log_softmax(-1)[:, None]


if __name__ == "__main__":
    typer.run(main)
