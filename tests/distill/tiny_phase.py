"""One phase of a tiny student on planted lessons; also a program, so that it can be killed.

python -m tests.distill.tiny_phase <folder>
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch
from accelerate import PartialState
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from akd import console
from akd.distill.lessons import Lessons, TeacherBlocks, lessons_of
from akd.distill.live_teacher import LiveTeacher
from akd.distill.phase import PhaseResult, run_phase
from akd.distill.recipe import Recipe
from akd.evaluate.predict import load_student, student_probabilities
from akd.models import adapters
from akd.prompts.reading import Reading
from akd.records import SIGNAL
from akd.specs.adapters import Adapter, Quantization
from akd.specs.distillation import DistillParams, OptimizerParams, Phase
from tests.conftest import (
    PROMPT,
    SENTENCES,
    adapter_spec,
    article,
    clean_articles,
    tiny_model,
)

LABELS = ["risk", "caution", "safe"]
TRUTH = [0, 1, 2, 0, 2, 1, 2, 0]
TEXTS = [f"{SENTENCES[n % 5]}" if n < 5 else f"{n} {SENTENCES[n % 5]}" for n in range(8)]
READING = Reading(PROMPT, LABELS, 12)
LORA = adapter_spec(r=8, alpha=16)
ADAMW = OptimizerParams(
    kind="adamw",
    learning_rate=2e-2,
    schedule="cosine",
    warmup=0.1,
    weight_decay=0.0,
    max_gradient_norm=1.0,
    batch_size=4,
    gradient_checkpointing=False,
)


def lessons(
    texts: Sequence[str] = TEXTS,
    truth: Sequence[int] = TRUTH,
    probabilities: np.ndarray | None = None,
) -> pl.DataFrame:
    """Return articles of two domains, of which the teacher is nearly sure or as it is said."""
    count = len(texts)
    p = np.full((count, 3), 0.02)
    p[np.arange(count), list(truth)] = 0.96
    p = p if probabilities is None else probabilities
    ids = [f"n{n:03d}" for n in range(count)]
    rows = [
        article(key, text, domain="odd" if number % 2 else "even")
        for number, (key, text) in enumerate(zip(ids, texts, strict=True))
    ]
    signals = {
        "id": ids,
        "log_probabilities": np.log(p).astype(np.float32).tolist(),
        "other_mass": [0.0] * count,
        "probabilities": p.tolist(),
        "entropy": [0.1 * n for n in range(count)],
        "margin": [0.9] * count,
        "label": [LABELS[label] for label in truth],
    }
    return lessons_of(clean_articles(*rows), pl.DataFrame(signals, schema=SIGNAL))


def phase_of(**changes: object) -> Phase:
    """Return a phase that learns the classes from all articles, with changes."""
    settings = {
        "init_from": "student",
        "targets": "classes",
        "articles": (0.0, 1.0),
        "epochs": 30,
        "temperature": 1.0,
        "losses": {"soft_cross_entropy": 1.0},
    }
    return Phase.model_validate({**settings, **changes})


def settings_of(sampling: str = "proportional", **changes: object) -> DistillParams:
    """Return what phases share, with changes."""
    settings = {
        "student_prompt": "bare",
        "target_temperature": 0.5,
        "own_share": 0.0,
        "readout": "pooled",
        "difficulty": "entropy",
        "sampling": {
            "kind": sampling,
            "by": "domain",
            "every": 3,
            "smoothing": 0.5,
            "validation": 2,
        },
        "losses": {
            "kl": {"direction": "forward", "beta": 0.5, "skew": 0.1},
            "hidden": {"kind": "projection", "distance": "cosine"},
            "ted": {"filtered": 8, "epochs": 20, "learning_rate": 0.02},
            "rationale": {"kind": "text"},
            "minillm": {"tokens": 4, "teacher_share": 0.2, "clip": 0.2},
        },
        "frozen_cache_gib": 1.0,
        "final": "phase",
        "phases": {"phase": phase_of().model_dump()},
    }
    return DistillParams.model_validate({**settings, **changes})


def blocks_of(truth: Sequence[int] = TRUTH) -> TeacherBlocks:
    """Return mean states of the first and last block of a teacher of four, which show the truth."""
    noise = torch.randn(len(truth), 2, 48, generator=torch.Generator().manual_seed(1))
    shown = torch.eye(3, 48)[list(truth), None]
    return TeacherBlocks((noise + 3 * shown).half(), [1, 4], 4)


def live_teacher(tokenizer: PreTrainedTokenizerFast, family: str = "llama") -> LiveTeacher:
    """Return a teacher of another shape than the student, with an instruction."""
    model = tiny_model(family, layers=4, seed=9, width=48)
    instructed = PROMPT.model_copy(update={"instruction": "One of {labels}."})
    return LiveTeacher(model, tokenizer, Reading(instructed, LABELS, 12))


def run_tiny(
    folder: Path,
    tokenizer: PreTrainedTokenizerFast,
    name: str,
    phase: Phase,
    *,
    start: str = "student",
    model: PreTrainedModel | None = None,
    settings: DistillParams | None = None,
    reading: Reading = READING,
    table: pl.DataFrame | None = None,
    states: torch.Tensor | None = None,
    rationales: pl.DataFrame | None = None,
    blocks: TeacherBlocks | None = None,
    teacher: LiveTeacher | None = None,
    adapter: Adapter = LORA,
    optimizer: Mapping[str, object] | None = None,
) -> PhaseResult:
    """Run one phase from `folder`/`start` to `folder`/`name`."""
    adapters.write_empty(folder / "student")
    student = model or tiny_model("llama")
    torch.seed()  # what was drawn before a phase must not matter to it
    return run_phase(
        student,
        tokenizer,
        Lessons(lessons() if table is None else table, states, rationales, blocks),
        Recipe(
            phase,
            settings or settings_of(),
            adapter,
            ADAMW.model_copy(update=dict(optimizer or {})),
            seed=5,
        ),
        reading=reading,
        coarse_groups=[0, 0, 1],
        reason_cue="\nReason:",
        teacher=teacher,
        start=folder / start,
        out=folder / name,
        checkpoints=folder / "checkpoints",
    )


def predict(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, name: str, family: str = "llama"
) -> np.ndarray:
    """Return what the student of the phase `name` says of the texts (8, 3), from its folder."""
    folder = tmp_path / "base"
    tiny_model(family).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    student = load_student(folder, tmp_path / name, Quantization(kind="none"))
    return student_probabilities(student, TEXTS, 3)


def main(folder: Path) -> None:
    """Run a phase with all that an interruption could disturb: dropout, DDK, filters, draws."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer")
    texts = [f"{n} {SENTENCES[n % 5]}" for n in range(40)]
    truth = [n % 3 for n in range(40)]
    result = run_tiny(
        folder,
        tokenizer,
        "phase",
        phase_of(epochs=12, losses={"soft_cross_entropy": 1.0, "ted": 0.1, "minillm": 0.1}),
        settings=settings_of("ddk"),
        table=lessons(texts, truth),
        blocks=blocks_of(truth),
        teacher=live_teacher(tokenizer),
        adapter=LORA.model_copy(update={"dropout": 0.2}),
    )
    if PartialState().is_main_process:
        result.curve.write_csv(folder / "curve.csv")
        result.domains.write_csv(folder / "domains.csv")


if __name__ == "__main__":
    console.run(main)
