"""A plain loop that runs the teacher beside the student, in a process of its own.

What one would write first with transformers and PEFT: both models on the same tokens, logits over
the whole vocabulary at every position, and the divergence at each of them, in float32 as in the
code of MiniLLM (and as akd computes its losses). See `benchmarks.step`.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import torch
import typer
from torch import nn

from akd import params
from akd.io import read_json, write_json
from akd.models import adapters
from akd.models.batching import pad_right
from akd.models.load import load_model, load_tokenizer
from akd.specs.adapters import Quantization
from benchmarks.meter import Meter
from benchmarks.phases import DATA, STUDENT

TEACHER = DATA / "models" / "teacher"


def main(
    out: Path,
    batches: Annotated[Path, typer.Option(help="The tokens of each step.")],
    steps: Annotated[int, typer.Option()],
) -> None:
    """Train on the first batches; write the figures."""
    settings = params.load()
    pad_token = int(load_tokenizer(STUDENT).pad_token_id)
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
        with torch.no_grad():
            taught = _log_probabilities(teacher, tokens, mask)
        learnt = _log_probabilities(adapted, tokens, mask)
        each = nn.functional.kl_div(learnt, taught, reduction="none", log_target=True).sum(-1)
        torch.autograd.backward((each * mask).sum() / mask.sum())
        nn.utils.clip_grad_norm_(weights, spec.max_gradient_norm)
        optimizer.step()
        optimizer.zero_grad()
    trainable, _ = adapters.trainable_share(adapted)
    figures = meter.figures(settings.optimizer.batch_size)
    write_json(out, {**figures, "trainable_parameters": trainable})


def _log_probabilities(model: nn.Module, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = model(input_ids=tokens, attention_mask=mask).logits
    return logits.log_softmax(-1, dtype=torch.float32)


if __name__ == "__main__":
    typer.run(main)
