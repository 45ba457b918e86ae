"""Generalised knowledge distillation with TRL, run in an environment of its own.

    python -m benchmarks.step_trl <given.json> <out.json>

Started by `benchmarks.step`, which says what is compared and how. With `lmbda` 0 nothing is written
by the student: TRL learns from the data set (Agarwal et al. 2024), as akd does. `beta` 0 is the
forward divergence, which is also the cheapest. What TRL ships otherwise is slower here, and left
out: checkpoints of the gradients, which params.yaml has off, and autocasting beside weights that
are in bfloat16 already.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.experimental.gkd import GKDConfig, GKDTrainer

from benchmarks.meter import Meter


def main() -> None:
    """Train on the given batches; write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("given", type=Path)
    parser.add_argument("out", type=Path)
    paths = parser.parse_args()
    given = json.loads(paths.given.read_text())
    dtype = getattr(torch, given["dtype"])
    student, teacher = (
        AutoModelForCausalLM.from_pretrained(given[name], dtype=dtype, local_files_only=True)
        for name in ("student", "teacher")
    )
    tokenizer = AutoTokenizer.from_pretrained(given["student"], local_files_only=True)
    meter = Meter(student, teacher)
    with TemporaryDirectory() as scratch:
        trainer = GKDTrainer(
            model=student,
            teacher_model=teacher,
            args=_arguments(scratch, given),
            data_collator=_collator(tokenizer.pad_token_id),
            train_dataset=Dataset.from_dict(
                {"input_ids": [row for batch in given["batches"] for row in batch]}
            ),
            processing_class=tokenizer,
            peft_config=LoraConfig(task_type="CAUSAL_LM", **given["lora"]),
        )
        trainer.train()
    trainable, _ = trainer.model.get_nb_trainable_parameters()
    figures = meter.figures(given["batch_size"])
    paths.out.write_text(json.dumps({**figures, "trainable_parameters": trainable}))


def _arguments(scratch: str, given: dict[str, Any]) -> GKDConfig:
    return GKDConfig(
        output_dir=scratch,
        lmbda=0.0,
        beta=0.0,
        temperature=1.0,
        per_device_train_batch_size=given["batch_size"],
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        use_cpu=not torch.cuda.is_available(),
        bf16=False,
        gradient_checkpointing=False,
        save_strategy="no",
        report_to="none",
        **given["optimizer"],
    )


def _collator(pad_token: int) -> Any:
    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        tokens = [torch.tensor(row["input_ids"]) for row in rows]
        padded = torch.nn.utils.rnn.pad_sequence
        mask = padded([torch.ones_like(row) for row in tokens], batch_first=True)
        return {
            "input_ids": padded(tokens, batch_first=True, padding_value=pad_token),
            "attention_mask": mask,
            "labels": padded(tokens, batch_first=True, padding_value=-100),
        }

    return collate


if __name__ == "__main__":
    main()
