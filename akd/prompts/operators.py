"""Operators: each prompt that is one perturbation away from another ([ANON] 2.1, A.2; [PA])."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from akd.prompts.rewrites import LABELS, NearestWords, paraphrases, substitutions
from akd.prompts.template import Demonstration, Prompt
from akd.specs.prompts import Operator
from akd.task import PromptSeeds

_FEW_LABELS = 4  # 24 orders; of more labels those that turn or mirror the row are tried


@dataclass(frozen=True)
class Moves:
    """What a search may change a prompt to.

    Attributes:
        operators: the kinds of change, in the order in which they take turns.
        seeds: the alternatives of the task.
        demonstrations: the sets of shots that may be shown.
        chats: the forms of prompt that the teacher takes.
        nearest: what may stand for a word; None where the teacher's embeddings are not at hand,
            so that `keyword` offers nothing.
        keyword_neighbours: how many words may stand for one.
        near_copy: similarity from which a rewrite is left out, see `paraphrases`.
        fits: whether the teacher can read a prompt, and an article after it.
    """

    operators: Sequence[Operator]
    seeds: PromptSeeds
    demonstrations: Sequence[tuple[Demonstration, ...]]
    chats: Sequence[bool]
    nearest: NearestWords | None
    keyword_neighbours: int
    near_copy: float
    fits: Callable[[Prompt], bool]


def neighbours(prompt: Prompt, moves: Moves) -> Iterator[tuple[Operator, Prompt]]:
    """Yield each prompt that is one perturbation away, with the name of the operator."""
    for operator in moves.operators:
        part, values = _alternatives(operator, prompt, moves)
        for value in values:
            other = prompt.model_copy(update={part: value})
            if other != prompt and moves.fits(other):
                yield operator, other


def _alternatives(operator: Operator, prompt: Prompt, moves: Moves) -> tuple[str, Sequence[object]]:
    """Return which part of a prompt an operator changes, and the values that it offers."""
    seeds = moves.seeds
    match operator:
        case "verbalizer":
            return "words", list(map(tuple, seeds.verbalizers))
        case "shots":
            return "demonstrations", moves.demonstrations
        case "paraphrase":
            own = seeds.instructions
            return "instruction", paraphrases(prompt.instruction, own, moves.near_copy)
        case "response_format":
            return "cue", seeds.cues
        case "label_order":
            return "order", _orders(prompt)
        case "chat_template":
            return "chat", moves.chats
        case "system_message":
            return "system", _systems(prompt, seeds)
        case "keyword":
            return "instruction", _with_other_words(prompt.instruction, moves)
        case "article_mark":
            return "article", seeds.articles
        case _:
            assert_never(operator)


def _orders(prompt: Prompt) -> Sequence[tuple[int, ...]]:
    """Return the orders of the labels; none where the instruction does not name them."""
    order = prompt.order
    if LABELS not in prompt.instruction:
        return []
    if len(order) <= _FEW_LABELS:
        return list(itertools.permutations(range(len(order))))
    turned = [order[start:] + order[:start] for start in range(len(order))]
    return [*turned, *(other[::-1] for other in turned)]


def _systems(prompt: Prompt, seeds: PromptSeeds) -> Sequence[str]:
    """Return the system messages: none, or one of the task's; only a chat has any."""
    return ["", *seeds.systems] if prompt.chat else []


def _with_other_words(instruction: str, moves: Moves) -> Sequence[str]:
    if moves.nearest is None:
        return []
    return list(substitutions(instruction, moves.nearest, moves.keyword_neighbours))
