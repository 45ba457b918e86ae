"""MiniLLM in a phase (Gu et al. 2024): the student writes on, and the teacher weighs its words.

The one loss that asks the teacher itself: what a student writes as it learns is nowhere stored.
Each reads the article under its own prompt, the teacher under that which labelled, and the text
goes on behind the cue, where label word and reason stand, to the end of the line. Every batch is
sampled anew and learnt from once. The paper begins from a student that is fine-tuned on the task
and adds the loss of next tokens on a corpus: begin from a phase of `rationale`, give this one
`next_token` beside.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from akd.distill.live_teacher import LiveTeacher
from akd.distill.losses.minillm import (
    importance_weights,
    mean_rewards_after,
    mixed_log_probabilities,
    policy_gradient,
    single_step,
)
from akd.distill.losses.tokens import token_log_probabilities
from akd.distill.losses.vocabulary import Head
from akd.distill.pupil import Pupil, words_head
from akd.distill.trainer import Batch
from akd.errors import InputError
from akd.models.continuation import Prefix
from akd.models.scoring import context_of
from akd.models.student import StudentOutput
from akd.models.truncation import check_room
from akd.models.writing import line_ends
from akd.specs.distillation import MiniLLMParams


class _Step(NamedTuple):
    """One token of each text (batch,), log-probabilities (batch,) in nats, and a state.

    `counted` says which texts had not ended; `before` is the student's, `teacher` the teacher's and
    `mixed` that under which the token was drawn; `states` (batch, width) are the teacher's, from
    which it is predicted.
    """

    written: torch.Tensor
    counted: torch.Tensor
    before: torch.Tensor
    teacher: torch.Tensor
    mixed: torch.Tensor
    states: torch.Tensor


class Rollouts:
    """What the student writes behind the articles of a batch, teacher-mixed, and the loss on it.

    The draws of an article follow from seed, step and row alone, whatever happened in between.

    Args:
        pupil: the student.
        teacher: asked without gradient.
        spec: how much is written, the teacher's share and the clip.
        texts: of all articles.
        seed: of the draws.

    Raises:
        InputError: if teacher and student do not share a vocabulary, or a context is too short.
    """

    def __init__(
        self,
        pupil: Pupil,
        teacher: LiveTeacher,
        spec: MiniLLMParams,
        texts: Sequence[str],
        seed: int,
    ) -> None:
        _check(pupil, teacher, spec.tokens)
        self._pupil, self._spec, self._seed = pupil, spec, seed
        before, _ = teacher.reading.around(teacher.tokenizer)
        read = teacher.reading.encode(texts, teacher.tokenizer)
        self._sequences = [tokens[before:] for tokens in read]
        self._prefix = Prefix(teacher.model, read[0][:before], pupil.pad_token)
        self._teacher_head = words_head(teacher.model, teacher.tokenizer)
        self._ends = torch.tensor(sorted(line_ends(pupil.tokenizer)))

    def extend(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        """Return the batch with what the student writes in this step behind each article.

        Added are `counted` (batch, length), which tokens were written; `before`, `teacher` and
        `mixed` (batch, length), their log-probabilities; `teacher_states` (batch, length, width).
        """
        with self._pupil.in_use(), torch.inference_mode():
            written = self._write(batch, self._draws(batch["rows"].tolist(), step))
        device, lengths = batch["tokens"].device, batch["lengths"]
        width = batch["tokens"].shape[1] + len(written)
        values = {
            name: torch.stack(parts, dim=1).to(device)
            for name, parts in zip(_Step._fields, zip(*written, strict=True), strict=True)
        }
        states = _placed(values.pop("states"), lengths - 1, width)  # a state predicts the next one
        placed = {name: _placed(value, lengths, width) for name, value in values.items()}
        articles = nn.functional.pad(batch["tokens"], (0, len(written)))
        tokens = torch.where(placed["counted"], placed.pop("written"), articles)
        return {**batch, **placed, "tokens": tokens, "teacher_states": states}

    def loss(self, output: StudentOutput, batch: Batch) -> torch.Tensor:
        """Return the loss on a batch that was extended, and that the student has read."""
        hidden, counted, before = output.hidden, batch["counted"], batch["before"]
        head = self._pupil.head()  # as it is now: a full student trains it
        weights = importance_weights(before, batch["mixed"])
        steps = single_step(
            hidden, head, batch["teacher_states"], self._teacher_head, weights, counted
        )
        return steps + policy_gradient(
            token_log_probabilities(hidden, batch["tokens"], counted, head),
            before,
            weights,
            mean_rewards_after(before, batch["teacher"], counted),
            counted,
            self._spec.clip,
        )

    def _write(self, batch: Batch, draws: torch.Tensor) -> list[_Step]:
        rows, lengths = batch["rows"].tolist(), batch["lengths"].tolist()
        articles = [row[:n] for row, n in zip(batch["tokens"].tolist(), lengths, strict=True)]
        student = Prefix(self._pupil.base(), [], self._pupil.pad_token).read(articles, 0)
        teacher = self._prefix.read([self._sequences[row] for row in rows], 0)
        ours, theirs, head = student.last, teacher.last, self._pupil.head()
        counted = torch.ones(len(rows), dtype=torch.bool, device=ours.device)
        found: list[_Step] = []
        for number in range(self._spec.tokens):
            if number:
                earlier, last = range(number - 1), found[-1].written
                ours, theirs = student.step(last, earlier), teacher.step(last, earlier)
            said = _log_probabilities(ours, head)
            weighed = _log_probabilities(theirs, self._teacher_head).to(said.device)
            mixed = mixed_log_probabilities(said, weighed, self._spec.teacher_share)
            token = _drawn(mixed, draws[:, number])
            before, heard, drawn = (
                part.gather(-1, token[:, None])[:, 0] for part in (said, weighed, mixed)
            )
            found.append(_Step(token, counted, before, heard, drawn, theirs))
            counted = counted & ~torch.isin(token, self._ends.to(token.device))
            if not counted.any():
                break
        return found

    def _draws(self, rows: Sequence[int], step: int) -> torch.Tensor:
        """Return uniform draws (rows, tokens)."""
        generators = [np.random.default_rng((self._seed, step, row)) for row in rows]
        return torch.from_numpy(np.stack([g.random(self._spec.tokens) for g in generators]))


def _check(pupil: Pupil, teacher: LiveTeacher, tokens: int) -> None:
    if pupil.tokenizer.get_vocab() != teacher.tokenizer.get_vocab():
        raise InputError(
            "teacher and student have different vocabularies, so that minillm cannot let the one "
            "weigh the tokens of the other: choose a student of the teacher's family, or leave "
            "minillm out of `distill.phases`"
        )
    for model, reading in ((pupil.base(), pupil.reading), (teacher.model, teacher.reading)):
        before, after = reading.around(teacher.tokenizer)
        written = {"distill.losses.minillm.tokens": tokens}
        check_room(before, reading.text_tokens, after, context_of(model.config), written)


def _log_probabilities(states: torch.Tensor, head: Head) -> torch.Tensor:
    """Return log-probabilities (batch, vocabulary) in float32."""
    logits = nn.functional.linear(states.to(head.weight), *head)
    return logits.float().log_softmax(-1)


def _drawn(log_probabilities: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Return the token (batch,) at which the distribution function passes each draw."""
    # On the CPU: CUDA adds up in no fixed order, which PyTorch refuses where all is to be the same.
    cumulative = log_probabilities.cpu().double().exp().cumsum(-1)
    target = draws[:, None] * cumulative[:, -1:]
    found = torch.searchsorted(cumulative, target, right=True)[:, 0]
    return found.clamp(max=cumulative.shape[1] - 1).to(log_probabilities.device)


def _placed(values: torch.Tensor, starts: torch.Tensor, width: int) -> torch.Tensor:
    """Return values (batch, n, ...) at columns from `starts` (batch,) on, 0 elsewhere."""
    count = values.shape[1]
    found = torch.zeros(
        (len(values), width, *values.shape[2:]), dtype=values.dtype, device=values.device
    )
    rows = torch.arange(len(values), device=values.device)[:, None]
    found[rows, starts[:, None] + torch.arange(count, device=values.device)] = values
    return found
