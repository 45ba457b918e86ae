"""Training: one phase on stored signals, through the Hugging Face Trainer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from datasets import Dataset
from torch import nn
from torch.utils.data import Sampler
from transformers import Trainer, TrainingArguments

from akd.distill.progress import Progress, last_checkpoint, read_checkpoint, write_checkpoint
from akd.errors import InputError
from akd.models.load import device
from akd.models.student import StudentOutput
from akd.specs.distillation import OptimizerParams

Batch = Mapping[str, torch.Tensor]
Loss = Callable[[StudentOutput, Batch], torch.Tensor]
"""From what the student says of a batch, and what is stored of it, to a scalar."""

Complete = Callable[[Batch, int], Batch]
"""Adds to a batch, before the student reads it, what comes about in the step of this number."""

_CHECKPOINTS = 10  # in a phase; an interruption costs one part of so many at most
_OPTIMIZERS = {"adamw": "adamw_torch", "paged_adamw": "paged_adamw_32bit"}
_SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}


@dataclass(frozen=True)
class Term:
    """A loss and its weight in the sum."""

    weight: float
    loss: Loss


class DistillationTrainer(Trainer):
    """A Trainer whose loss is a weighted sum of terms on stored signals.

    Args:
        terms: the losses by name.
        sampler: gives the rows of all steps, in one pass.
        progress: takes what each step lost, and goes into the checkpoints.
        complete: completes each batch.
        ids: of the articles, by row.
    """

    def __init__(
        self,
        *,
        terms: Mapping[str, Term],
        sampler: Sampler[int],
        progress: Progress,
        complete: Complete,
        ids: Sequence[str],
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self._terms = terms
        self._sampler = sampler
        self._progress = progress
        self._complete = complete
        self._ids = ids

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,  # noqa: ARG002
    ) -> Any:
        """Return the loss of a batch; the arguments are the Trainer's.

        Raises:
            InputError: if it is no longer finite; the last checkpoint is kept.
        """
        batch = self._complete(inputs, self.state.global_step)
        output = model(batch["tokens"], batch["lengths"])
        losses = {name: term.loss(output, batch) for name, term in self._terms.items()}
        loss = torch.stack(
            [self._terms[name].weight * found for name, found in losses.items()]
        ).sum()
        parts = torch.stack([loss, *losses.values()]).detach().float()
        means = cast(torch.Tensor, self.accelerator.reduce(parts, "mean"))
        if not torch.isfinite(means).all():  # of any process, so that all of them end
            values = ", ".join(f"{name} {float(found.detach())}" for name, found in losses.items())
            own = not torch.isfinite(parts).all()
            raise InputError(self._complaint(f"loss ({values})" if own else "loss", inputs, own))
        self._progress.add(
            self.state.global_step, dict(zip(("loss", *losses), means.tolist(), strict=True))
        )
        return (loss, output) if return_outputs else loss

    def training_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the loss of a batch whose gradients are added up; the arguments are the Trainer's.

        Raises:
            InputError: if a gradient is no longer finite, which would spoil the weights and with
                them the next checkpoint.
        """
        loss = super().training_step(model, inputs, num_items_in_batch)
        found = [weight.grad for weight in model.parameters() if weight.grad is not None]
        if not torch.stack([gradient.isfinite().all() for gradient in found]).all():
            raise InputError(self._complaint("gradient", inputs, self.args.world_size == 1))
        return loss

    def _complaint(self, what: str, batch: Batch, own: bool) -> str:
        """Name the articles, if they are sure to be those of this process."""
        named = ", ".join(self._ids[row] for row in batch["rows"].tolist())
        return (
            f"the {what} is no longer finite at step {self.state.global_step}, "
            f"{f'articles {named}' if own else 'in one of the processes'}: lower "
            "optimizer.learning_rate or optimizer.max_gradient_norm"
        )

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:  # noqa: ARG002
        return self._sampler

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002
        """Keep what training changes, not the frozen weights, and the progress."""
        if self.args.should_save and output_dir is not None:
            write_checkpoint(Path(output_dir), cast(nn.Module, self.model), self._progress)

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        student = model or cast(nn.Module, self.model)
        read_checkpoint(Path(resume_from_checkpoint), student, self._progress)


def as_it_is(batch: Batch, _step: int) -> Batch:
    """Add nothing to a batch: all that is learnt is stored."""
    return batch


def train(
    student: nn.Module,
    dataset: Dataset,
    terms: Mapping[str, Term],
    sampler: Sampler[int],
    progress: Progress,
    *,
    ids: Sequence[str],
    collate: Callable[[Sequence[Mapping[str, Any]]], dict[str, torch.Tensor]],
    optimizer: OptimizerParams,
    seed: int,
    checkpoints: Path,
    complete: Complete = as_it_is,
) -> str:
    """Train the trainable parameters of the student in place, from the last checkpoint on.

    An interrupted run that is begun again ends in the very weights of one that was not
    interrupted, on one machine.

    Args:
        student: maps tokens and lengths to a `StudentOutput`, see `akd.models.student`.
        dataset: what `collate` makes batches of; `row` is the number of a row.
        terms: the losses by name.
        sampler: gives the rows of all steps, in one pass.
        progress: takes the losses of each step.
        ids: of the articles, by row.
        checkpoints: a folder for them, which belongs to this very training alone.
        complete: completes each batch of `collate`.

    Returns:
        The optimiser that was used: on a CPU a paged one is plain.

    Raises:
        InputError: if the loss is no longer finite.
    """
    steps = -(-len(cast(Any, sampler)) // optimizer.batch_size)
    trainer = DistillationTrainer(
        terms=terms,
        sampler=sampler,
        progress=progress,
        complete=complete,
        ids=ids,
        model=student,
        args=_arguments(checkpoints, steps, optimizer, seed),
        train_dataset=dataset,
        data_collator=collate,
    )
    last = last_checkpoint(checkpoints)
    trainer.train(resume_from_checkpoint=None if last is None else str(last))
    used = cast(Any, trainer.optimizer).optimizer
    paged = getattr(used, "is_paged", False) and trainer.args.device.type == "cuda"
    return f"{'paged ' if paged else ''}{type(used).__name__}"


def _arguments(
    checkpoints: Path, steps: int, optimizer: OptimizerParams, seed: int
) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=1,  # the sampler holds all epochs
        per_device_train_batch_size=optimizer.batch_size,
        accelerator_config={"split_batches": True},  # several processes share each batch
        learning_rate=optimizer.learning_rate,
        lr_scheduler_type=_SCHEDULES[optimizer.schedule],
        warmup_steps=round(optimizer.warmup * steps),
        weight_decay=optimizer.weight_decay,
        max_grad_norm=optimizer.max_gradient_norm,
        optim=_OPTIMIZERS[optimizer.kind],
        logging_strategy="no",
        save_strategy="steps",
        save_steps=max(1, steps // _CHECKPOINTS),
        save_total_limit=2,  # the one before the last is whole, whenever the process ends
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        ddp_find_unused_parameters=True,  # no loss reads the head of a pooled student, say
        report_to="none",
        use_cpu=device().type == "cpu",  # where the student lies, whatever else the machine has
        disable_tqdm=False,
        full_determinism=True,
        seed=seed,
    )
    # One process has one device: of several that it sees the Trainer would make one batch each.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments
