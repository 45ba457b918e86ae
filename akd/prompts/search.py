"""Prompt search: explore, perturb, test, iterate, and keep the whole tree ([ANON] 2.1, A.2)."""

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import sem

from akd.console import progress
from akd.prompts.calibration import Array
from akd.prompts.measure import Material, Measured, Score, measure
from akd.prompts.template import Prompt
from akd.task import PromptSeeds

Expand = Callable[[Prompt], Iterator[tuple[str, Prompt]]]
"""From a prompt to those that are one step away, each with the name of its operator."""

_CONSTANT = 1e-6  # nats by which log-probabilities differ from article to article; below: rounding
_Step = tuple[int, str, Prompt]


class Weights(NamedTuple):
    """What stands beside the log-probability of the shots' labels in the score of a prompt."""

    agreement: float
    mutual_information: float


@dataclass(frozen=True, kw_only=True)
class Call(Measured):
    """A prompt that the search has measured; the seed has no parent (-1)."""

    number: int
    parent: int
    operator: str
    prompt: Prompt


@dataclass(frozen=True, kw_only=True)
class Node(Call):
    """A prompt of the search tree, judged beside all others of the tree.

    Attributes:
        agreement: mean correlation of what this prompt says of the unlabelled articles with what
            each prompt of the tree says (-1 to 1; itself among them, which adds the same to all).
        article_scores: what each unlabelled article adds to w * agreement + v * mutual_information,
            which is their mean.
        score: log_probability, as a gain on the seed's, + the mean of `article_scores`.
    """

    agreement: float
    article_scores: Sequence[float]
    score: float


def seed_prompt(seeds: PromptSeeds, labels: int, chat: bool) -> Prompt:
    """Return the prompt made of the first of every list of seeds."""
    return Prompt(
        chat=chat,
        system=seeds.systems[0],
        instruction=seeds.instructions[0],
        article=seeds.articles[0],
        cue=seeds.cues[0],
        words=tuple(seeds.verbalizers[0]),
        order=tuple(range(labels)),
        demonstrations=(),
    )


def search(
    seed: Prompt,
    expand: Expand,
    score: Score,
    *,
    material: Material,
    weights: Weights,
    budget: int,
    beam: int,
    random_seed: int,
) -> list[Node]:
    """Run a beam search over one-step perturbations; `budget` prompts are scored in all.

    The score of a prompt is the mean leave-one-out log-probability of the shots' labels + w times
    its agreement with the other prompts + v times its mutual information, both on unlabelled
    articles; without shots the latter two alone. Prompts err in different places, so that what they
    say together is right more often than what one of them does (zero-label prompt selection, Liao
    et al. 2022), but of agreement the seed has most, of which the others are made; and label words
    that are sure of the wrong label have much information. Accuracy never chooses: of 20 equal
    prompts the best one looks about 19 points too good on 20 shots. Whichever operator has been
    tried least has the next turn. A prompt counts whether or not its scores were kept from an
    earlier search, so that both searches are the same.

    Returns:
        The tree in the order of the calls.
    """
    draw = random.Random(random_seed)
    calls: list[Call] = []
    seen = {seed}
    frontier: list[_Step] = [(-1, "seed", seed)]
    for number in progress(range(budget), description="prompt search", unit="prompt"):
        if not frontier:
            nodes = _judged(calls, weights)
            best = sorted(nodes, key=lambda node: (-node.score, node.number))[:beam]
            steps = [(n.number, name, p) for n in best for name, p in expand(n.prompt)]
            fresh = {p: (parent, name, p) for parent, name, p in reversed(steps) if p not in seen}
            tried = Counter(node.operator for node in nodes)
            steps = _in_turn([*reversed(fresh.values())], tried, draw)
            frontier = steps[: max(beam, budget // 3)][::-1]
            if not frontier:
                break
        parent, operator, prompt = frontier.pop()
        seen.add(prompt)
        found = vars(measure(prompt, score, material))
        calls.append(Call(number=number, parent=parent, operator=operator, prompt=prompt, **found))
    return _judged(calls, weights)


def _in_turn(steps: Sequence[_Step], tried: Mapping[str, int], draw: random.Random) -> list[_Step]:
    """Return the steps so that the operator that was tried least comes first, each in its turn."""
    shuffled = [*steps]
    draw.shuffle(shuffled)
    rank = {name: place for place, name in enumerate(dict.fromkeys(name for _, name, _ in steps))}
    turns, ordered = Counter(tried), []
    for step in shuffled:
        ordered.append((turns[step[1]], rank[step[1]], step))
        turns[step[1]] += 1
    return [step for _, _, step in sorted(ordered, key=lambda turn: turn[:2])]


def _judged(calls: Sequence[Call], weights: Weights) -> list[Node]:
    """Return the prompts with their agreement and score.

    The log-probability of another prompt is the seed's and what it gains on it. Prompts that show
    shots are measured on fewer: the difference on the shots that both are measured on compares
    them, whichever of the shots are hard.
    """
    if not calls:
        return []
    agreement = _agreement(np.array([call.article_log_probabilities for call in calls]))
    nodes = []
    for call, shares in zip(calls, agreement, strict=True):
        gains = _shot_gains(call, calls[0])
        scores = weights.agreement * shares
        scores += weights.mutual_information * np.array(call.article_information)
        told = calls[0].log_probability + (float(np.mean(gains)) if gains else 0.0)
        nodes.append(
            Node(
                **vars(call),
                agreement=float(shares.mean()),
                article_scores=scores.tolist(),
                score=told + float(scores.mean()),
            )
        )
    return nodes


def _agreement(said: Array) -> Array:
    """Return what each article adds to the mean correlation of a prompt with all prompts.

    Neither how sure a prompt is, nor which labels it likes, changes it; a prompt that says the
    same of every article agrees with none.

    Args:
        said: log-probabilities (prompts, articles, labels).

    Returns:
        Shares (prompts, articles), whose mean over the articles is the correlation.
    """
    centred = said - said.mean(axis=2, keepdims=True)
    centred = centred - centred.mean(axis=1, keepdims=True)
    size = np.sqrt((centred**2).sum(axis=2).mean(axis=1))[:, None, None]
    standard = np.divide(centred, size, out=np.zeros_like(centred), where=size > _CONSTANT)
    return np.asarray((standard * standard.mean(axis=0)).sum(axis=2))


def winner(nodes: Sequence[Node]) -> Node:
    """Return the best-scored node that beats the seed beyond noise; the seed if there is none."""
    seed, *others = nodes
    better = [node for node in others if _beats(node, seed)]
    return max([seed, *better], key=lambda node: (node.score, -node.number))


def _beats(node: Node, seed: Node) -> bool:
    """Return whether the score exceeds the seed's by more than the standard error of the gain.

    Each prompt is asked about the same few shots and articles: most differences between prompts
    are luck, and the seed is a person's best guess. Both parts of the score have their errors.
    """
    pairs = zip(node.article_scores, seed.article_scores, strict=True)
    parts = (_shot_gains(node, seed), [one - other for one, other in pairs])
    error = math.hypot(*(float(sem(gains)) for gains in parts if len(gains) > 1))
    return node.score - seed.score > error


def _shot_gains(node: Measured, seed: Measured) -> list[float]:
    """Return by how much more probable each shot's label is, where both are measured on it."""
    told, said = node.shot_log_probabilities, seed.shot_log_probabilities
    return [told[number] - said[number] for number in sorted(told.keys() & said.keys())]
