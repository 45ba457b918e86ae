"""Adapt: from the seeds of a task to the prompt and calibration that suit this teacher."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from akd.corpus.sampling import sample
from akd.errors import InputError
from akd.prompts import calibration as calibrations
from akd.prompts.asked import Asked
from akd.prompts.calibration import Calibrator
from akd.prompts.demonstrations import Shot, demonstration_sets, distances, not_shown
from akd.prompts.measure import Material
from akd.prompts.operators import Moves, neighbours
from akd.prompts.pin import pinned_prompt
from akd.prompts.search import Expand, Node, Weights, search, seed_prompt, winner
from akd.prompts.store import AdaptedPrompt
from akd.prompts.template import Demonstration, Prompt
from akd.prompts.tree import measured
from akd.specs.prompts import Calibration, Pin, PromptParams
from akd.task import PromptSeeds, Task

_SEED_AND_PIN = 2  # prompts that are measured where nothing is searched


@dataclass(frozen=True)
class Adaptation:
    """An adapted prompt and the search that led to it.

    Attributes:
        adapted: the prompt with its calibration.
        nodes: the tree of the search, the seed first.
        best: the node of the adapted prompt.
    """

    adapted: AdaptedPrompt
    nodes: Sequence[Node]
    best: Node

    def summary(self) -> dict[str, Any]:
        """Return the metrics: seed and winner side by side, and what calibrates it."""
        calibrator = self.adapted.calibrator
        return {
            "prompts_scored": len(self.nodes),
            "pinned": self.adapted.pinned,
            "seed": measured(self.nodes[0]),
            "winner": measured(self.best),
            "prompt_weight": round(calibrator.prompt_weight, 6),
            "probe_weight": round(sum(probe.weight for probe in calibrator.probes), 6),
        }


def adapt(
    task: Task,
    teacher: Asked,
    *,
    shots: Sequence[Shot],
    unlabelled: Sequence[str],
    settings: PromptParams,
    pin: Pin | None,
    seed: int,
) -> Adaptation:
    """Search a prompt on shots and unlabelled articles, then fit its calibration on both.

    The shots that the prompt shows do not fit the calibration: their labels stand in it. Where the
    task's prompt is pinned, it is measured beside the seed and nothing is searched.

    Args:
        task: labels and seeds.
        teacher: who is asked.
        shots: may be empty: then the unlabelled articles alone choose (zero-shot).
        unlabelled: texts for calibration; `settings.unlabelled` of them score the candidates.
        settings: of the search.
        pin: the task's prompt, where a person has pinned one.
        seed: of the search.

    Raises:
        InputError: if the calibration needs shots and there are none or has shares of other
            labels, no label words fit, or the pinned prompt does not suit the task.
    """
    calibration, labels = settings.calibration, len(task.labels)
    _check_shots(calibration, shots, pin, labels)
    share = calibrations.expected(calibration, task.label_names)
    seeds = _fitting(task.prompt, teacher.tells_apart)
    layers = teacher.layers_of(calibration)
    material = material_of(settings, shots, unlabelled)
    start = seed_prompt(seeds, labels, teacher.chats[0])
    if pin is None:
        expand: Expand = partial(
            neighbours, moves=_moves(seeds, start, teacher, material, settings, layers)
        )
    else:
        pinned = pinned_prompt(pin, shots, labels, settings.shown_characters)
        teacher.check_form(pinned)
        expand = partial(_only, pinned)
    nodes = search(
        start,
        expand,
        lambda prompt, texts: teacher.score(prompt, texts, layers),
        material=material,
        weights=Weights(settings.agreement_weight, settings.mutual_information_weight),
        budget=settings.budget if pin is None else _SEED_AND_PIN,
        beam=settings.beam,
        random_seed=seed,
    )
    best = winner(nodes) if pin is None else nodes[-1]
    fitted = _calibrated(best.prompt, teacher, calibration, shots, unlabelled, layers)
    calibrator = replace(fitted, share=share)
    adapted = AdaptedPrompt(best.prompt, calibrator, layers, task.label_names, pin is not None)
    return Adaptation(adapted, nodes, best)


def material_of(
    settings: PromptParams, shots: Sequence[Shot], unlabelled: Sequence[str]
) -> Material:
    """Return what each prompt of a search is measured on: articles of every source alike."""
    calibrated = settings.calibration.kind != "none"
    chosen = sample(unlabelled, settings.unlabelled)  # the first ones would be of one source
    return Material(shots, [unlabelled[row] for row in chosen], calibrated)


def _check_shots(
    calibration: Calibration, shots: Sequence[Shot], pin: Pin | None, labels: int
) -> None:
    """Refuse shots that do not suffice for a calibration, before the teacher is asked."""
    if not calibration.reads_states:
        return
    if not shots:
        raise InputError(
            f"calibration {calibration.kind!r} needs shots, and there are none: annotate some in "
            "shots.jsonl, or choose `prompt.calibration.kind: batch`"
        )
    shown = pin.shots if pin else []
    calibrations.check_shots([shot.label for shot in shots if shot.id not in shown], labels)


def _calibrated(
    prompt: Prompt,
    teacher: Asked,
    calibration: Calibration,
    shots: Sequence[Shot],
    unlabelled: Sequence[str],
    layers: Sequence[int],
) -> Calibrator:
    free = [shots[number] for number in not_shown(prompt, shots)]
    return calibrations.fit(
        calibration,
        teacher.score(prompt, calibrations.prior_texts(calibration, unlabelled), layers),
        teacher.score(prompt, [shot.text for shot in free], layers),
        [shot.label for shot in free],
    )


def _only(pinned: Prompt, prompt: Prompt) -> Iterator[tuple[str, Prompt]]:
    """Yield the pinned prompt as the one step from any other."""
    if prompt != pinned:
        yield "pin", pinned


def _moves(
    seeds: PromptSeeds,
    start: Prompt,
    teacher: Asked,
    material: Material,
    settings: PromptParams,
    layers: Sequence[int],
) -> Moves:
    shown: list[tuple[Demonstration, ...]] = []
    if "shots" in settings.operators and material.shots:
        # What the seed is measured on: the scores are kept, so that they cost nothing again.
        texts = [*material.unlabelled, *(shot.text for shot in material.shots)]
        far = distances(teacher.score(start, texts, layers), texts, len(material.unlabelled))
        shown = demonstration_sets(
            material.shots,
            far.tolist(),
            len(start.words),
            settings.shown,
            settings.shown_characters,
        )
    return Moves(
        operators=settings.operators,
        seeds=seeds,
        demonstrations=shown,
        chats=teacher.chats,
        nearest=teacher.nearest,
        keyword_neighbours=settings.keyword_neighbours,
        near_copy=settings.near_copy,
        fits=teacher.fits,
    )


def _fitting(seeds: PromptSeeds, tells_apart: Callable[[Sequence[str]], bool]) -> PromptSeeds:
    """Return the seeds without the label words that the teacher cannot tell apart."""
    fitting = [words for words in seeds.verbalizers if tells_apart(words)]
    if not fitting:
        raise InputError(
            "each list of label words has two that the teacher cannot tell apart, since their "
            "tokens begin alike: add other `verbalizers` to task.yaml"
        )
    return seeds.model_copy(update={"verbalizers": fitting})
