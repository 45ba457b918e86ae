"""One phase: from stored signals and the adapter before to the next adapter."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from akd.distill.curriculum import easiest, group_probabilities
from akd.distill.losses import group_logits, soft_cross_entropy
from akd.distill.readout import article_states, fit_readout
from akd.distill.trainer import train
from akd.io import read_table, replacing
from akd.models import adapters
from akd.models.scoring import context_of
from akd.models.student import READOUT, Readout, load_readout, save_readout
from akd.models.truncation import check_room
from akd.prompts.reading import Reading, save_reading
from akd.records import FILTERED, SIGNAL
from akd.specs.adapters import LoraAdapter
from akd.specs.distillation import OptimizerParams, Phase

_STATES_BATCH = 16  # articles in one forward pass of the untrained student


@dataclass(frozen=True)
class PhaseResult:
    """Loss curve (step, loss in nats) and size of one phase."""

    curve: list[dict[str, float]]
    articles: int
    trainable: int
    parameters: int


def run_phase(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    lessons: pl.DataFrame,
    phase: Phase,
    *,
    reading: Reading,
    readout: Literal["pooled", "label_words"],
    coarse_groups: Sequence[int],
    adapter: LoraAdapter,
    optimizer: OptimizerParams,
    start: Path,
    out: Path,
    seed: int,
) -> PhaseResult:
    """Train the adapter found in `start` on the phase's share of the lessons; write it to `out`.

    Args:
        lessons: text and signals of the articles, see `lessons_of`.
        readout: `pooled` classes are read off the mean state of the article (the first phase fits
            that readout on all lessons); `label_words` off the head at the decision position.
        coarse_groups: for each label its group in the simpler task.

    Raises:
        InputError: if prompt and article do not fit into the student's context.
    """
    before, after = reading.around(tokenizer)
    check_room(before, reading.text_tokens, after, context_of(model.config))
    set_seed(seed)  # a new adapter draws its weights, before the Trainer sets any seed
    chosen = easiest(lessons, phase.share)
    language_model = adapters.attach(model, adapter, start, train=True)
    beginning = _readout(readout, language_model, tokenizer, lessons, reading, start)
    student = reading.student(language_model, tokenizer, beginning)
    student.to(model.device).train()
    probabilities = np.array(chosen["probabilities"].to_list())
    coarse = phase.targets == "coarse"
    curve = train(
        student,
        reading.encode(chosen["text"].to_list(), tokenizer),
        group_probabilities(probabilities, coarse_groups) if coarse else probabilities,
        partial(_loss, groups=coarse_groups if coarse else None, temperature=phase.temperature),
        pad_token=int(tokenizer.pad_token_id),
        epochs=phase.epochs,
        optimizer=optimizer,
        seed=seed,
    )
    with replacing(out) as aside:
        adapters.save(language_model, aside)
        if beginning is not None:
            save_readout(beginning, aside)
        save_reading(reading, aside)
    trainable, parameters = adapters.trainable_share(language_model)
    return PhaseResult(curve, chosen.height, trainable, parameters)


def _readout(
    kind: Literal["pooled", "label_words"],
    language_model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    lessons: pl.DataFrame,
    reading: Reading,
    start: Path,
) -> Readout | None:
    if kind == "label_words":
        return None
    if (start / READOUT).is_file():
        return load_readout(start)
    before, after = reading.around(tokenizer)
    states = article_states(
        language_model,
        reading.encode(lessons["text"].to_list(), tokenizer),
        before=before,
        after=after,
        pad_token=int(tokenizer.pad_token_id),
        batch_size=_STATES_BATCH,
    )
    return fit_readout(states, np.array(lessons["probabilities"].to_list()))


def read_lessons(filtered: Path, signals: Path) -> pl.DataFrame:
    """Read what the filter and the teacher-label stage wrote, as `lessons_of` joins it."""
    return lessons_of(
        read_table(filtered / "articles", FILTERED), read_table(signals / "scores", SIGNAL)
    )


def lessons_of(articles: pl.DataFrame, signals: pl.DataFrame) -> pl.DataFrame:
    """Join texts with signals by id; the signals decide which articles there are."""
    return signals.join(articles.select("id", "text", "domain", "language"), on="id", how="left")


def _loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    groups: Sequence[int] | None,
    temperature: float,
) -> torch.Tensor:
    grouped = logits if groups is None else group_logits(logits, groups)
    return soft_cross_entropy(grouped, targets, temperature)


def summary(result: PhaseResult) -> dict[str, Any]:
    """Return the metrics of a phase; nothing in them depends on the clock."""
    return {
        "articles": result.articles,
        "first_loss": round(result.curve[0]["loss"], 6),
        "last_loss": round(result.curve[-1]["loss"], 6),
        "trainable_parameters": result.trainable,
        "trainable_share": round(result.trainable / result.parameters, 6),
    }
