"""The search finds what is better, within its budget, and the same each time."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from scipy.special import log_softmax

from akd.prompts.demonstrations import Shot, demonstration_sets
from akd.prompts.measure import Material, measure
from akd.prompts.operators import neighbours
from akd.prompts.search import Node, Weights, search, seed_prompt, winner
from akd.prompts.template import Prompt
from akd.prompts.tree import confusion, search_curve, sensitivity, tree_rows, tree_table
from akd.records import Scores
from tests.prompts.oracle import FREE, OPERATORS, SEEDS, SHOTS, Oracle, moves


def _search(
    budget: int,
    shots: Sequence[Shot] = SHOTS,
    operators: Sequence[str] = OPERATORS,
    seed: Prompt | None = None,
) -> tuple[list[Node], Oracle]:
    oracle = Oracle()
    nodes = search(
        seed or seed_prompt(SEEDS, 2, False),
        partial(neighbours, moves=moves(operators)),
        oracle,
        material=Material(shots, FREE, True),
        weights=Weights(2.0, 1.0),
        budget=budget,
        beam=2,
        random_seed=7,
    )
    return nodes, oracle


def test_one_shot_alone_is_measured_as_the_teacher_says_it() -> None:
    prompt = seed_prompt(SEEDS, 2, chat=False).model_copy(update={"words": ("bad", "good")})
    alone = measure(prompt, Oracle(), Material(SHOTS[:1], FREE, calibrated=False))
    [said] = Oracle()(prompt, [SHOTS[0].text]).log_probabilities
    assert alone.log_probability == pytest.approx(log_softmax(said)[SHOTS[0].label])


def test_the_search_finds_the_words_and_the_cue() -> None:
    best = winner(_search(18)[0])
    assert best.prompt.words == ("bad", "good")
    assert best.prompt.cue == "\nAnswer:"
    assert best.accuracy == 1.0


def _node(number: int, log_probabilities: Sequence[float], agreement: float = 0.0) -> Node:
    told = dict(enumerate(log_probabilities))
    mean = float(np.mean(log_probabilities)) if told else 0.0
    return Node(
        number=number,
        parent=number - 1,
        operator="paraphrase",
        prompt=seed_prompt(SEEDS, 2, False),
        score=mean + agreement,
        log_probability=mean,
        mutual_information=0.0,
        accuracy=0.5,
        shot_log_probabilities=told,
        shot_labels=dict.fromkeys(told, 0),
        article_log_probabilities=[[-0.7, -0.7]] * 2,
        article_information=[0.0, 0.0],
        article_scores=[0.5 * agreement, 1.5 * agreement],
        agreement=agreement,
    )


def test_a_lucky_prompt_does_not_replace_the_seed() -> None:
    seed = _node(0, [-1.0, -1.0, -1.0, -1.0])
    lucky = _node(1, [-0.1, -1.6, -0.2, -1.9])  # better by less than its standard error
    better = _node(2, [-0.98, -0.97, -0.99, -0.98])
    assert winner([seed, lucky]) == seed
    assert winner([seed, lucky, better]) == better


def test_agreement_on_lucky_articles_does_not_replace_the_seed() -> None:
    """What shots and what articles tell of a prompt both have an error."""
    seed = _node(0, [-1.0, -1.0, -1.0, -1.0])
    worse = [-1.04, -1.06, -1.05, -1.05]
    lucky = Node(**{**vars(_node(1, worse, 0.1)), "article_scores": [1.2, -1.0]})
    agreed = Node(**{**vars(_node(2, worse, 0.1)), "article_scores": [0.1, 0.1]})
    assert winner([seed, lucky]) == seed
    assert winner([seed, lucky, agreed]) == agreed


def test_without_shots_a_lucky_article_does_not_replace_the_seed() -> None:
    seed, better = _node(0, [], 0.0), _node(1, [], 0.4)
    lucky = Node(**{**vars(better), "article_scores": [1.2, -0.4]})
    assert winner([seed, better]) == better
    assert winner([seed, lucky]) == seed


def test_each_prompt_is_scored_once_and_the_budget_holds() -> None:
    nodes, oracle = _search(6)
    assert len(oracle.asked) == len(set(oracle.asked)) == len(nodes) == 6
    assert nodes[0].parent == -1
    assert all(node.parent < node.number for node in nodes)
    whole = _search(100, operators=("verbalizer", "response_format"))[0]
    assert [node.number for node in whole] == [0, 1, 2, 3]  # all there are


def test_the_search_is_deterministic() -> None:
    assert _search(9)[0] == _search(9)[0]


def test_operators_take_turns() -> None:
    """Five sets of shots do not crowd out the one other list of label words."""
    offered = ("shots", "paraphrase", "verbalizer", "response_format")
    nodes, _ = _search(13, operators=offered)
    assert [node.operator for node in nodes[1:5]] == list(offered)
    assert {node.parent for node in nodes[1:5]} == {0}


def test_shots_that_a_prompt_shows_neither_score_it_nor_compare_it() -> None:
    shown = demonstration_sets(SHOTS, range(8), 2, 2, 20)[2]
    assert {demonstration.shot for demonstration in shown} == {"n0", "n1"}
    prompt = seed_prompt(SEEDS, 2, False).model_copy(update={"demonstrations": shown})
    [node], oracle = _search(1, seed=prompt)
    assert oracle.texts == [[*FREE, *(shot.text for shot in SHOTS[2:])]]
    assert set(node.shot_log_probabilities) == set(node.shot_labels) == set(range(2, 8))


def test_a_prompt_that_shows_the_hard_shots_scores_no_better_for_it() -> None:
    """Both prompts say the same of each shot; one of them is not asked about those it shows."""
    easy = [Shot(f"n{n}", f"{'bad' if n % 2 == 0 else 'good'} {n}", n % 2) for n in range(6)]
    hard = [Shot("n6", "good 6", 0), Shot("n7", "bad 7", 1)]
    seed = seed_prompt(SEEDS, 2, False).model_copy(update={"words": ("bad", "good")})
    far = [1, 1, 1, 1, 1, 1, 0, 0]
    shown = demonstration_sets([*easy, *hard], far, 2, 2, 20)[2]
    assert {demonstration.shot for demonstration in shown} == {"n6", "n7"}
    steps = {seed: [("shots", seed.model_copy(update={"demonstrations": shown}))]}
    first, second = search(
        seed,
        lambda prompt: iter(steps.get(prompt, [])),
        Oracle(),
        material=Material([*easy, *hard], FREE, True),
        weights=Weights(0.0, 0.0),
        budget=2,
        beam=1,
        random_seed=0,
    )
    assert second.log_probability > first.log_probability + 0.2
    told, said = second.shot_log_probabilities, first.shot_log_probabilities
    gain = np.mean([told[n] - said[n] for n in told])
    assert second.score == pytest.approx(first.score + gain)


def test_without_shots_unlabelled_articles_alone_choose() -> None:
    nodes, _ = _search(14, shots=[], operators=("verbalizer", "response_format"))
    best = winner(nodes)
    assert best.prompt.words == ("bad", "good")
    assert best.log_probability == 0.0
    assert best.score == pytest.approx(2 * best.agreement + best.mutual_information)


def test_a_prompt_that_is_sure_of_what_the_others_deny_is_not_taken() -> None:
    """It has the most mutual information; three others say the same of the articles."""
    said = {"odd": [8, -8, -8, 8], **{name: [1, 1, -1, -1] for name in "abc"}}
    seed = seed_prompt(SEEDS, 2, False)
    others = [seed.model_copy(update={"instruction": name}) for name in said]

    def score(prompt: Prompt, _texts: Sequence[str]) -> Scores:
        logits = np.array([[bad, -bad] for bad in said.get(prompt.instruction, [-1, 1, -1, 1])])
        none = np.zeros((len(logits), 0), np.float32)
        return Scores(log_softmax(logits, axis=1).astype(np.float32), none, none)

    nodes = search(
        seed,
        lambda prompt: iter([("paraphrase", other) for other in others]),
        score,
        material=Material([], FREE, False),
        weights=Weights(2.0, 1.0),
        budget=5,
        beam=1,
        random_seed=0,
    )
    assert winner(nodes).prompt.instruction in ("a", "b", "c")
    surest = max(nodes, key=lambda node: node.mutual_information)
    assert surest.prompt.instruction == "odd"


def test_the_tree_holds_parents_scores_and_sensitivity() -> None:
    nodes, _ = _search(9)
    rows = tree_rows(nodes)
    children = [node.score for node in nodes if node.parent == 0]
    assert rows[0]["sensitivity"] == pytest.approx(np.std([nodes[0].score, *children]))
    assert sensitivity(nodes, len(nodes) - 1) is None
    assert Prompt.model_validate(rows[3]["prompt"]) == nodes[3].prompt
    table = tree_table(nodes)
    for row in table.iter_rows(named=True):
        parent = nodes[max(nodes[row["call"] - 1].parent, 0)]
        assert (row["parent_call"], row["parent_score"]) == (parent.number + 1, parent.score)
    best = search_curve(nodes)["best"].to_list()
    assert best == sorted(best)


def test_confusion_is_of_the_shots_that_are_not_shown() -> None:
    node = _search(18)[0][-1]
    table = confusion(node, SHOTS, ["alert", "none"])
    assert table.height == len(SHOTS) - len(node.prompt.demonstrations)
    assert (table["actual"] == table["predicted"]).mean() == node.accuracy
