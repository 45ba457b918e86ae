"""Prompt search: explore, perturb, test, iterate, and keep the whole tree ([ANON] 2.1, A.2)."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import sem

from akd.console import progress
from akd.prompts.calibration import Array, batch_prior, class_log_probabilities, log_probabilities
from akd.prompts.template import Demonstration, Prompt
from akd.records import Scores
from akd.task import PromptSeeds

TEMPERATURES = tuple(float(2**power) for power in np.arange(-2, 4.5, 0.5))

Score = Callable[[Prompt, Sequence[str]], Scores]


@dataclass(frozen=True)
class Shot:
    """An annotated article whose text is at hand; `label` is the index of its label."""

    text: str
    label: int


@dataclass(frozen=True)
class Measured:
    """How a prompt does on shots and unlabelled articles.

    Attributes:
        log_probability: mean of `shot_log_probabilities`.
        mutual_information: H(mean p) - mean H(p) over unlabelled articles, in nats.
        accuracy: on the same shots; reported, never decisive (its standard error is ~10 points).
        shot_log_probabilities: of the label of each shot (by its number) that the prompt does not
            show, at the temperature that suits the other shots (leave-one-out).
    """

    log_probability: float
    mutual_information: float
    accuracy: float
    shot_log_probabilities: Mapping[int, float]


@dataclass(frozen=True, kw_only=True)
class Node(Measured):
    """A scored prompt of the search tree; the seed has no parent (-1).

    Attributes:
        score: log_probability + w * mutual_information; only the latter without shots.
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


def neighbours(
    prompt: Prompt,
    seeds: PromptSeeds,
    demonstrations: tuple[Demonstration, ...],
    chats: Sequence[bool],
) -> Iterator[tuple[str, Prompt]]:
    """Yield each prompt that is one perturbation away, with the name of the operator.

    Args:
        prompt: where to start.
        seeds: the alternatives of the task.
        demonstrations: what the operator `shots` shows or hides; empty for none to show.
        chats: the forms of prompt that the teacher takes.
    """
    for words in seeds.verbalizers:
        yield "verbalizer", prompt.model_copy(update={"words": tuple(words)})
    for cue in seeds.cues:
        yield "response format", prompt.model_copy(update={"cue": cue})
    for instruction in seeds.instructions:
        yield "paraphrase", prompt.model_copy(update={"instruction": instruction})
    for article in seeds.articles:
        yield "article mark", prompt.model_copy(update={"article": article})
    shown = () if prompt.demonstrations else demonstrations
    yield "shots", prompt.model_copy(update={"demonstrations": shown})
    if "{labels}" in prompt.instruction:  # elsewhere the order is not seen
        yield "label order", prompt.model_copy(update={"order": prompt.order[::-1]})
    for chat in chats:
        yield "chat template", prompt.model_copy(update={"chat": chat})
    for system in seeds.systems if prompt.chat else []:
        yield "system message", prompt.model_copy(update={"system": system})


def demonstrate(shots: Sequence[Shot], labels: int, characters: int) -> tuple[Demonstration, ...]:
    """Return the first shot of each label, cut to `characters`; none if a label has no shot."""
    first: dict[int, Demonstration] = {}
    for number, shot in enumerate(shots):
        text = shot.text[:characters].rpartition(" ")[0] or shot.text[:characters]
        first.setdefault(shot.label, Demonstration(shot=number, text=text, label=shot.label))
    return tuple(first[label] for label in range(labels)) if len(first) == labels else ()


def search(
    seed: Prompt,
    expand: Callable[[Prompt], Iterator[tuple[str, Prompt]]],
    score: Score,
    *,
    shots: Sequence[Shot],
    unlabelled: Sequence[str],
    calibrated: bool,
    mutual_information_weight: float,
    budget: int,
    beam: int,
    random_seed: int,
) -> list[Node]:
    """Run a beam search over one-step perturbations; `budget` prompts are scored in all.

    Accuracy never chooses: of 20 equal prompts the best one looks about 19 points too good on 20
    shots. `calibrated` scores the prompt behind batch calibration, as it will be used.

    Returns:
        The tree in the order of the calls; the winner has the highest score, the earliest on ties.
    """
    draw = random.Random(random_seed)
    nodes: list[Node] = []
    seen = {seed}
    frontier = [(-1, "seed", seed)]
    for number in progress(range(budget), description="prompt search", unit="prompt"):
        if not frontier:
            best = sorted(nodes, key=lambda node: (-node.score, node.number))[:beam]
            steps = [(n.number, name, p) for n in best for name, p in expand(n.prompt)]
            fresh = {p: (parent, name, p) for parent, name, p in reversed(steps) if p not in seen}
            frontier = sorted(fresh.values(), key=lambda step: (step[0], step[1], str(step[2])))
            draw.shuffle(frontier)
            frontier = frontier[: max(beam, budget // 3)]
            if not frontier:
                break
        parent, operator, prompt = frontier.pop()
        seen.add(prompt)
        measured = _measure(prompt, score, shots, unlabelled, calibrated)
        information = mutual_information_weight * measured.mutual_information
        total = measured.log_probability + information
        nodes.append(
            Node(
                number=number,
                parent=parent,
                operator=operator,
                prompt=prompt,
                score=total,
                **vars(measured),
            )
        )
    return nodes


def winner(nodes: Sequence[Node]) -> Node:
    """Return the best-scored node that beats the seed beyond noise; the seed if there is none."""
    seed, *others = nodes
    better = [node for node in others if _beats(node, seed)]
    return max([seed, *better], key=lambda node: (node.score, -node.number))


def _beats(node: Node, seed: Node) -> bool:
    """Return whether the paired gain on the shots exceeds its standard error.

    Each prompt is asked about the same few shots: most differences between prompts are luck, and
    the seed is a person's best guess. Without shots the mutual information alone decides.
    """
    common = sorted(node.shot_log_probabilities.keys() & seed.shot_log_probabilities.keys())
    if len(common) < 2:
        return node.score > seed.score
    gains = [node.shot_log_probabilities[n] - seed.shot_log_probabilities[n] for n in common]
    return bool(np.mean(gains) > sem(gains))


def _measure(
    prompt: Prompt,
    score: Score,
    shots: Sequence[Shot],
    unlabelled: Sequence[str],
    calibrated: bool,
) -> Measured:
    """Ask about the unlabelled articles and the shots that the prompt does not show."""
    shown = {demonstration.shot for demonstration in prompt.demonstrations}
    asked = [number for number in range(len(shots)) if number not in shown]
    scores = score(prompt, [*unlabelled, *(shots[number].text for number in asked)])
    logits = class_log_probabilities(scores)
    if calibrated:
        logits = logits - batch_prior(scores)
    free, told = logits[: len(unlabelled)], logits[len(unlabelled) :]
    if not asked:
        return Measured(0.0, _information(free), 0.0, {})
    labels = np.array([shots[number].label for number in asked])
    found = _leave_one_out_log_probabilities(told, labels)
    return Measured(
        log_probability=float(np.mean(found)),
        mutual_information=_information(free / _temperature(told, labels)),
        accuracy=float((told.argmax(axis=1) == labels).mean()),
        shot_log_probabilities=dict(zip(asked, found, strict=True)),
    )


def _temperature(logits: Array, labels: NDArray[np.int_]) -> float:
    """Return the temperature of a grid at which the labels are most probable."""
    return max(TEMPERATURES, key=lambda t: float(log_probabilities(logits / t, labels).mean()))


def _leave_one_out_log_probabilities(logits: Array, labels: NDArray[np.int_]) -> list[float]:
    """Return the log-probability of each label at the temperature of all the others.

    How peaked a prompt is says nothing of how well it orders: without a temperature of its own
    the flattest prompt would win.
    """
    values = []
    for left_out in range(len(labels)):
        rest = np.delete(np.arange(len(labels)), left_out)
        temperature = _temperature(logits[rest], labels[rest])
        alone = logits[[left_out]] / temperature
        values.append(float(log_probabilities(alone, labels[[left_out]])[0]))
    return values


def _information(logits: Array) -> float:
    """Return the mutual information H(mean p) - mean H(p) in nats."""
    probabilities = np.asarray(softmax(logits, axis=1))
    mean = probabilities.mean(axis=0)
    return _entropy(mean) - float(np.mean([_entropy(p) for p in probabilities]))


def _entropy(probabilities: Array) -> float:
    return float(-(probabilities * np.log(probabilities + 1e-12)).sum())
