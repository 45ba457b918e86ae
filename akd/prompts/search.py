"""Prompt search: explore, perturb, test, iterate, and keep the whole tree ([ANON] 2.1, A.2)."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import sem

from akd.console import progress
from akd.prompts.measure import Material, Measured, Score, measure
from akd.prompts.template import Prompt
from akd.task import PromptSeeds

Expand = Callable[[Prompt], Iterator[tuple[str, Prompt]]]
"""From a prompt to those that are one step away, each with the name of its operator."""

_Step = tuple[int, str, Prompt]


@dataclass(frozen=True, kw_only=True)
class Node(Measured):
    """A scored prompt of the search tree; the seed has no parent (-1).

    Attributes:
        score: log_probability + w * mutual_information, the former as a gain on the seed's.
    """

    number: int
    parent: int
    operator: str
    prompt: Prompt
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
    mutual_information_weight: float,
    budget: int,
    beam: int,
    random_seed: int,
) -> list[Node]:
    """Run a beam search over one-step perturbations; `budget` prompts are scored in all.

    The score of a prompt is its mean leave-one-out log-probability of the shots' labels + w times
    its mutual information; without shots the latter alone. Accuracy never chooses: of 20 equal
    prompts the best one looks about 19 points too good on 20 shots. Whichever operator has been
    tried least has the next turn. A prompt counts whether or not its scores were kept from an
    earlier search, so that both searches are the same.

    Returns:
        The tree in the order of the calls.
    """
    draw = random.Random(random_seed)
    nodes: list[Node] = []
    seen = {seed}
    frontier: list[_Step] = [(-1, "seed", seed)]
    for number in progress(range(budget), description="prompt search", unit="prompt"):
        if not frontier:
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
        found = measure(prompt, score, material)
        total = _total(found, nodes[0] if nodes else found, mutual_information_weight)
        nodes.append(
            Node(
                number=number,
                parent=parent,
                operator=operator,
                prompt=prompt,
                score=total,
                **vars(found),
            )
        )
    return nodes


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


def _total(found: Measured, seed: Measured, weight: float) -> float:
    """Return the score of the seed and what another prompt gains on it.

    Prompts that show shots are measured on fewer: the difference on the shots that both are
    measured on compares them, whichever of the shots are hard.
    """
    gains = _shot_gains(found, seed)
    told = seed.log_probability + (float(np.mean(gains)) if gains else 0.0)
    return told + weight * found.mutual_information


def winner(nodes: Sequence[Node]) -> Node:
    """Return the best-scored node that beats the seed beyond noise; the seed if there is none."""
    seed, *others = nodes
    better = [node for node in others if _beats(node, seed)]
    return max([seed, *better], key=lambda node: (node.score, -node.number))


def _beats(node: Measured, seed: Measured) -> bool:
    """Return whether the paired gain exceeds its standard error.

    Each prompt is asked about the same few shots: most differences between prompts are luck, and
    the seed is a person's best guess. Without shots the information of the same articles decides.
    """
    gains = _shot_gains(node, seed)
    if len(gains) < 2:
        pairs = zip(node.article_information, seed.article_information, strict=True)
        gains = [one - other for one, other in pairs]
    return bool(np.mean(gains) > (sem(gains) if len(gains) > 1 else 0.0))


def _shot_gains(node: Measured, seed: Measured) -> list[float]:
    """Return by how much more probable each shot's label is, where both are measured on it."""
    told, said = node.shot_log_probabilities, seed.shot_log_probabilities
    return [told[number] - said[number] for number in sorted(told.keys() & said.keys())]
