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
from akd.models.writing import SentenceWriter
from akd.prompts.store import AdaptedPrompt
from akd.prompts.template import render, told_tokens
from akd.records import RATIONALE, Written
from akd.specs.labels import RationaleParams
from akd.task import RationaleSeeds, Task
from akd.teacher.engine import OpenEngine
from akd.teacher.store import open_store, score_all

_CODE = 1  # raise it with any change of code after which a text gets another reason
FLAWS = ("empty", "unended", "broken", "repeats")


@dataclass(frozen=True)
class Rationales:
    """What came of asking for reasons.

    Attributes:
        table: of what was kept (`records.RATIONALE`).
        dropped: how many were not, by what is wrong with them; see `flaw`.
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
        before, cue = render(self._prompt, engine.tokenizer)
        self._after = [
            [*cue, *told_tokens(word, seeds.cue, engine.tokenizer)] for word in self._prompt.words
        ]
        self._writer = SentenceWriter(
            model,
            engine.tokenizer,
            before=before,
            longest_after=max(map(len, self._after)),
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
            found = self._row(signals["id"][row], written, place)
            wrong = self._flaw(found["text"], label, bool(written.ended[place]))
            if wrong is None:
                rows.append(found)
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
        after = [self._after[int(label)] for label, _, _ in parts]
        return self._writer.write([text for _, _, text in parts], after)

    def _row(self, key: str, written: Written, place: int) -> dict[str, Any]:
        end = int(written.lengths[place])
        tokens = written.top_tokens[place, :end]
        return {
            "id": key,
            "text": self._writer.text(tokens[:, 0].tolist()).strip(),
            "tokens": tokens[:, 0].tolist(),
            "top_tokens": tokens.tolist(),
            "top_log_probabilities": written.top_log_probabilities[place, :end].tolist(),
            "tail_mass": written.tail_mass[place, :end].tolist(),
        }

    def _flaw(self, text: str, label: int, ended: bool) -> str | None:
        shown = self._prompt
        said = (shown.instruction, shown.system, shown.words[label])
        return flaw(text, ended=ended, said=said, marks=(shown.article, self._cue))


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


def flaw(text: str, *, ended: bool, said: Sequence[str], marks: Sequence[str]) -> str | None:
    """Return why a text is no reason, one of `FLAWS`; None if it may be one.

    Args:
        text: without blanks around it.
        ended: whether it came to an end in the room that it had.
        said: what the prompt says; a reason that stands in it word for word `repeats` it.
        marks: what a prompt writes and a reason never does; one that does `repeats` it.
    """
    plain = _plain(text)
    if not any(character.isalpha() for character in plain):
        return "empty"
    if not ended:
        return "unended"
    if "\N{REPLACEMENT CHARACTER}" in text:
        return "broken"
    if any(plain in _plain(part) for part in said):
        return "repeats"
    shown = any(mark in plain for mark in map(_plain, marks) if mark)
    return "repeats" if shown else None


def _plain(text: str) -> str:
    """Return a text without case, blanks and punctuation at its ends."""
    return " ".join(text.casefold().split()).strip(" .!?\"'")
