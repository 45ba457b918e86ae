"""The search finds what is better, within its budget, and the same each time."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
import yaml
from transformers import PreTrainedTokenizerFast

from akd.errors import InputError
from akd.prompts.adapt import adapt, search_curve, summary, tree_rows
from akd.prompts.search import Node, Shot, demonstrate, neighbours, search, seed_prompt, winner
from akd.prompts.store import AdaptedPrompt
from akd.prompts.template import Prompt, tells_apart, tells_apart_in_full
from akd.records import Scores
from akd.specs.prompts import Calibration
from akd.task import PromptSeeds, Task
from tests.conftest import ROOT

SEEDS = PromptSeeds(
    systems=[""],
    instructions=["", "Say {labels}."],
    articles=["News: "],
    cues=["\nIt is", "\nAnswer:"],
    verbalizers=[["mist", "fog"], ["bad", "good"]],
)
SHOTS = [Shot(f"{'bad' if n % 2 == 0 else 'good'} news {n}", n % 2) for n in range(8)]
FREE = [f"{word} text" for word in ("bad", "good", "bad", "good")]


class Oracle:
    """Understands only the words bad and good, best after the cue `Answer:`."""

    def __init__(self) -> None:
        self.asked: list[Prompt] = []

    def __call__(self, prompt: Prompt, texts: Sequence[str]) -> Scores:
        self.asked.append(prompt)
        power = 1.0 * (prompt.words[0] == "bad") + 1.0 * (prompt.cue == "\nAnswer:")
        power = power if prompt.words[0] == "bad" else 0.0
        logits = np.array([[power, 0.0] if "bad" in text else [0.0, power] for text in texts])
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        return Scores(
            log_p.astype(np.float32),
            np.zeros((len(texts), 4), np.float32),
            np.zeros((len(texts), 1, 4), np.float32),
        )


def _search(budget: int, shots: Sequence[Shot] = SHOTS) -> tuple[list, Oracle]:
    oracle = Oracle()
    expand = partial(
        neighbours, seeds=SEEDS, demonstrations=demonstrate(shots, 2, 20), chats=(False,)
    )
    nodes = search(
        seed_prompt(SEEDS, 2, False),
        expand,
        oracle,
        shots=shots,
        unlabelled=FREE,
        calibrated=True,
        mutual_information_weight=1.0,
        budget=budget,
        beam=2,
        random_seed=7,
    )
    return nodes, oracle


def test_the_search_finds_the_words_and_the_cue() -> None:
    best = winner(_search(14)[0])
    assert best.prompt.words == ("bad", "good")
    assert best.prompt.cue == "\nAnswer:"
    assert best.accuracy == 1.0


def _node(number: int, log_probabilities: Sequence[float]) -> Node:
    return Node(
        number=number,
        parent=number - 1,
        operator="paraphrase",
        prompt=seed_prompt(SEEDS, 2, False),
        score=float(np.mean(log_probabilities)),
        log_probability=float(np.mean(log_probabilities)),
        mutual_information=0.0,
        accuracy=0.5,
        shot_log_probabilities=dict(enumerate(log_probabilities)),
    )


def test_a_lucky_prompt_does_not_replace_the_seed() -> None:
    seed = _node(0, [-1.0, -1.0, -1.0, -1.0])
    lucky = _node(1, [-0.1, -1.6, -0.2, -1.9])  # better by less than its standard error
    better = _node(2, [-0.98, -0.97, -0.99, -0.98])
    assert winner([seed, lucky]) == seed
    assert winner([seed, lucky, better]) == better


def test_each_prompt_is_scored_once_and_the_budget_holds() -> None:
    nodes, oracle = _search(6)
    assert len(oracle.asked) == len(set(oracle.asked)) == len(nodes) == 6
    assert nodes[0].parent == -1
    assert all(node.parent < node.number for node in nodes)
    assert [node.number for node in _search(500)[0]] == list(range(len(_search(500)[0])))


def test_the_search_is_deterministic() -> None:
    assert _search(9)[0] == _search(9)[0]


def test_shots_that_a_prompt_shows_do_not_score_it() -> None:
    shown = demonstrate(SHOTS, 2, 20)
    assert [d.shot for d in shown] == [0, 1]
    seen: list[Sequence[str]] = []

    def score(prompt: Prompt, texts: Sequence[str]) -> Scores:
        seen.append(texts)
        return Oracle()(prompt, texts)

    prompt = seed_prompt(SEEDS, 2, False).model_copy(update={"demonstrations": shown})
    search(
        prompt,
        lambda _p: iter(()),
        score,
        shots=SHOTS,
        unlabelled=FREE,
        calibrated=True,
        mutual_information_weight=1.0,
        budget=1,
        beam=1,
        random_seed=0,
    )
    assert seen == [[*FREE, *(shot.text for shot in SHOTS[2:])]]


def test_without_shots_mutual_information_alone_chooses() -> None:
    nodes, _ = _search(14, shots=[])
    best = winner(nodes)
    assert best.prompt.words == ("bad", "good")
    assert best.log_probability == 0.0
    assert best.score == best.mutual_information


def _task(seeds: PromptSeeds) -> Task:
    raw = yaml.safe_load((ROOT / "data" / "tasks" / "crisis" / "task.yaml").read_text())
    raw["labels"] = [raw["labels"][0], raw["labels"][2]]
    return Task.model_validate({**raw, "prompt": seeds.model_dump()})


def _calibration(kind: str) -> Calibration:
    grid = {
        "articles": 4,
        "layers": [0.5],
        "strengths": [0.1],
        "weights": [1.0],
        "temperature": 1.0,
    }
    return Calibration.model_validate({"kind": kind, **grid})


def _adapt(
    shots: Sequence[Shot],
    calibration: Calibration,
    tokenizer: PreTrainedTokenizerFast,
    seeds: PromptSeeds = SEEDS,
    apart: Callable[..., bool] = tells_apart,
) -> tuple[AdaptedPrompt, list[Node]]:
    oracle = Oracle()
    return adapt(
        _task(seeds),
        lambda prompt, texts, _layers: oracle(prompt, texts),
        shots=shots,
        unlabelled=FREE,
        search_articles=4,
        mutual_information_weight=1.0,
        budget=8,
        beam=2,
        calibration=calibration,
        teacher_layers=4,
        tells_apart=partial(apart, tokenizer=tokenizer),
        chats=(False, True),
        seed=1,  # type: ignore[arg-type]
    )


def test_adapting_ends_in_a_classifier_and_a_tree(tokenizer: PreTrainedTokenizerFast) -> None:
    adapted, nodes = _adapt(SHOTS, _calibration("batch"), tokenizer)
    found = adapted.calibrator.probabilities(Oracle()(adapted.prompt, ["bad", "good"]))
    assert found.argmax(1).tolist() == [0, 1]
    assert summary(adapted, nodes)["prompts_scored"] == len(tree_rows(nodes)) == 8
    best = search_curve(nodes)["best"].to_list()
    assert best == sorted(best)


def test_a_calibration_that_needs_shots_is_refused_without(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    with pytest.raises(InputError, match="calibration 'auto' needs shots"):
        _adapt([], _calibration("auto"), tokenizer)


def test_label_words_that_one_token_begins_are_left_out(tokenizer: PreTrainedTokenizerFast) -> None:
    clashing = ["zz1", "zz2"]
    both = SEEDS.model_copy(update={"verbalizers": [clashing, ["bad", "good"]]})
    adapted, nodes = _adapt(SHOTS, _calibration("batch"), tokenizer, both)
    assert {node.prompt.words for node in nodes} == {adapted.prompt.words} == {("bad", "good")}
    with pytest.raises(InputError, match="add other `verbalizers`"):
        only = SEEDS.model_copy(update={"verbalizers": [clashing]})
        _adapt(SHOTS, _calibration("batch"), tokenizer, only)


def test_a_teacher_that_reads_whole_words_takes_label_words_that_begin_alike(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    alike = SEEDS.model_copy(update={"verbalizers": [["zz1", "zz2"]]})
    _, nodes = _adapt(SHOTS, _calibration("batch"), tokenizer, alike, tells_apart_in_full)
    assert {node.prompt.words for node in nodes} == {("zz1", "zz2")}
    within = SEEDS.model_copy(update={"verbalizers": [["zz", "zz2"]]})
    with pytest.raises(InputError, match="tokens begin alike: add other `verbalizers`"):
        _adapt(SHOTS, _calibration("batch"), tokenizer, within, tells_apart_in_full)
