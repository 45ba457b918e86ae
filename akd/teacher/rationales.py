"""Rationales: why an article has its label, as a teacher tells it that is told the label.

The teacher does not choose again: the label of its calibrated probabilities stands in the prompt
as if it had answered so, and it goes on with the reason (rationalisation), which so agrees with the
label. What is no reason is counted and dropped, never mended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from transformers import PreTrainedModel

from akd.corpus.sampling import sample
from akd.errors import InputError
from akd.prompts.store import AdaptedPrompt
from akd.records import RATIONALE, Written
from akd.specs.labels import RationaleParams
from akd.task import RationaleSeeds, Task
from akd.teacher.engine import OpenEngine
from akd.teacher.reasoning import FLAWS, Reasoner
from akd.teacher.store import open_store, score_all

_CODE = 2  # raise it with any change of code after which a text gets another reason


@dataclass(frozen=True)
class Rationales:
    """What came of asking for reasons.

    Attributes:
        table: of what was kept (`records.RATIONALE`).
        dropped: how many were not, by what is wrong with them; see `Reasoner.flaw`.
    """

    table: pl.DataFrame
    dropped: dict[str, int]

    def metrics(self) -> dict[str, Any]:
        """Return how many were asked for, kept and dropped, and how long they are."""
        kept = self.table.height
        tokens = int(self.table["tokens"].list.len().sum())
        return {
            "asked": kept + sum(self.dropped.values()),
            "kept": kept,
            "dropped": self.dropped,
            "mean_tokens": round(tokens / kept, 2) if kept else 0.0,
        }


class Explainer:
    """Asks the teacher on this machine for the reasons of a share of the articles' labels.

    Args:
        model: the teacher.
        engine: what else is known of it.
        adapted: its prompt, whose demonstrations are left out, since they show no reasons.
        seeds: instruction and cue of the task.
        spec: share, room and alternatives.
        text_tokens: how many tokens of an article are read.
        batch_size: articles in one forward pass on CUDA.
        shard_articles: what an interruption can cost.

    Raises:
        InputError: if the prompt does not fit the model's context.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        engine: OpenEngine,
        adapted: AdaptedPrompt,
        seeds: RationaleSeeds,
        spec: RationaleParams,
        *,
        text_tokens: int,
        batch_size: int,
        shard_articles: int,
    ) -> None:
        update = {"instruction": seeds.instruction, "demonstrations": ()}
        self._prompt, self._cue = adapted.prompt.model_copy(update=update), seeds.cue
        self._engine, self._labels, self._spec = engine, list(adapted.labels), spec
        self._shard_articles = shard_articles
        self._reasoner = Reasoner(
            model,
            engine.tokenizer,
            self._prompt,
            seeds.cue,
            text_tokens=text_tokens,
            new_tokens=spec.tokens,
            top=spec.top,
            batch_size=batch_size,
        )

    def explain(self, signals: pl.DataFrame, texts: Sequence[str]) -> Rationales:
        """Return reasons of the same articles whenever their ids are the same.

        Args:
            signals: of all articles (`records.SIGNAL`, n rows).
            texts: theirs (n).

        Raises:
            InputError: if nothing that is written is a reason.
        """
        chosen = sample(signals["id"].to_list(), round(self._spec.share * signals.height))
        labels = [self._labels.index(signals["label"][row]) for row in chosen]
        asked = [f"{label} {texts[row]}" for label, row in zip(labels, chosen, strict=True)]
        store = open_store(self._decides(), Written)
        written = score_all(self._write, asked, store, self._shard_articles)
        rows: list[dict[str, Any]] = []
        dropped = dict.fromkeys(FLAWS, 0)
        for place, (row, label) in enumerate(zip(chosen, labels, strict=True)):
            wrong = self._reasoner.flaw(written, place, label)
            if wrong is None:
                rows.append(self._row(signals["id"][row], written, place))
            else:
                dropped[wrong] += 1
        if not rows:
            raise InputError(
                f"of {len(chosen)} articles the teacher gave no usable reason (dropped: "
                f"{dropped}): raise label.rationales.share or label.rationales.tokens, or set the "
                "share to 0"
            )
        return Rationales(pl.DataFrame(rows, schema=RATIONALE), dropped)

    def _decides(self) -> dict[str, Any]:
        return {
            **self._engine.decides(),
            "code of reasons": _CODE,
            "prompt": self._prompt.model_dump(mode="json"),
            "cue": self._cue,
            **self._spec.model_dump(include={"tokens", "top"}),
        }

    def _write(self, asked: Sequence[str]) -> Written:
        parts = [key.partition(" ") for key in asked]
        labels = [int(label) for label, _, _ in parts]
        return self._reasoner.write([text for _, _, text in parts], labels)

    def _row(self, key: str, written: Written, place: int) -> dict[str, Any]:
        end = int(written.lengths[place])
        tokens = written.top_tokens[place, :end]
        return {
            "id": key,
            "text": self._reasoner.text(written, place),
            "tokens": tokens[:, 0].tolist(),
            "top_tokens": tokens.tolist(),
            "top_log_probabilities": written.top_log_probabilities[place, :end].tolist(),
            "tail_mass": written.tail_mass[place, :end].tolist(),
        }


def open_explainer(
    engine: OpenEngine,
    adapted: AdaptedPrompt,
    task: Task,
    spec: RationaleParams,
    *,
    text_tokens: int,
    batch_size: int,
    shard_articles: int,
) -> Explainer | None:
    """Return who gives the reasons that are asked for; None where the share of articles is 0.

    Raises:
        InputError: if the task does not say how to ask, or the teacher cannot answer.
    """
    if spec.share == 0:
        return None
    if task.prompt.rationale is None:
        raise InputError(
            f"task {task.name!r} does not say how to ask for a reason: give its task.yaml a "
            "`prompt.rationale` with instruction and cue, or set `label.rationales.share: 0`"
        )
    if engine.model is None:
        raise InputError("only the engine transformers gives reasons: choose it in `label.engine`")
    return Explainer(
        engine.model,
        engine,
        adapted,
        task.prompt.rationale,
        spec,
        text_tokens=text_tokens,
        batch_size=batch_size,
        shard_articles=shard_articles,
    )
