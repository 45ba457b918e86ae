"""Training: one phase of soft cross-entropy on stored signals, through the Hugging Face Trainer."""

import math
from collections.abc import Callable, Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import Any

import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn
from transformers import Trainer, TrainingArguments

from akd.errors import InputError
from akd.models.batching import pad_right
from akd.specs.distillation import OptimizerParams

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From class logits (batch, labels) and targets (batch, targets) to a scalar."""


class DistillationTrainer(Trainer):
    """A Trainer whose loss compares class logits with the stored distribution of the teacher."""

    def __init__(self, *, loss: Loss, **rest: Any) -> None:
        super().__init__(**rest)
        self._loss = loss

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,  # noqa: ARG002
    ) -> Any:
        """Return the loss of a batch; the arguments are the Trainer's."""
        logits = model(inputs["tokens"], inputs["lengths"])
        loss = self._loss(logits, inputs["targets"])
        if not torch.isfinite(loss):
            raise InputError(
                f"the loss became {loss.item()} at step {self.state.global_step}: "
                "lower optimizer.learning_rate or optimizer.max_gradient_norm"
            )
        return (loss, logits) if return_outputs else loss


def train(
    student: nn.Module,
    sequences: Sequence[Sequence[int]],
    targets: NDArray[Any],
    loss: Loss,
    *,
    pad_token: int,
    epochs: int,
    optimizer: OptimizerParams,
    seed: int,
) -> list[dict[str, float]]:
    """Train the trainable parameters of the student in place.

    Args:
        student: maps tokens and lengths to class logits, see `akd.models.student`.
        sequences: tokens of each article, the decision position last.
        targets: distribution of the teacher (n, targets).
        loss: compares logits with targets.

    Returns:
        The loss curve: step and mean loss since the step before, in nats.

    Raises:
        InputError: if the loss is no longer finite.
    """
    dataset = Dataset.from_dict({"tokens": list(sequences), "targets": targets.tolist()})
    with TemporaryDirectory() as scratch:
        trainer = DistillationTrainer(
            loss=loss,
            model=student,
            args=_arguments(scratch, len(dataset), epochs, optimizer, seed),
            train_dataset=dataset,
            data_collator=_collator(pad_token),
        )
        trainer.train()
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    return [{"step": entry["step"], "loss": float(entry["loss"])} for entry in history]


def _arguments(
    scratch: str, articles: int, epochs: int, optimizer: OptimizerParams, seed: int
) -> TrainingArguments:
    steps = epochs * math.ceil(articles / optimizer.batch_size)
    return TrainingArguments(
        output_dir=scratch,
        num_train_epochs=epochs,
        per_device_train_batch_size=optimizer.batch_size,
        learning_rate=optimizer.learning_rate,
        lr_scheduler_type=optimizer.schedule,
        warmup_steps=round(optimizer.warmup * steps),
        weight_decay=optimizer.weight_decay,
        max_grad_norm=optimizer.max_gradient_norm,
        optim="adamw_torch",
        logging_steps=max(1, steps // 40),
        save_strategy="no",
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        report_to="none",
        disable_tqdm=False,
        full_determinism=True,
        seed=seed,
    )


def _collator(pad_token: int) -> Callable[[Sequence[Mapping[str, Any]]], dict[str, torch.Tensor]]:
    def collate(rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        tokens, lengths = pad_right([row["tokens"] for row in rows], pad_token)
        targets = torch.tensor([row["targets"] for row in rows], dtype=torch.float32)
        return {"tokens": tokens, "lengths": lengths, "targets": targets}

    return collate
