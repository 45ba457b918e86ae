"""Each operator changes what it is there for, and nothing else."""

from collections.abc import Sequence

import numpy as np
import pytest

from akd.prompts.demonstrations import Shot, demonstration, demonstration_sets, distances
from akd.prompts.operators import neighbours
from akd.prompts.rewrites import paraphrases, substitutions
from akd.prompts.search import seed_prompt
from akd.prompts.template import Prompt
from akd.records import Scores
from tests.prompts.oracle import OPERATORS, SEEDS, moves

SEED = seed_prompt(SEEDS, 2, False).model_copy(
    update={"instruction": "Classify each news text as {labels}.", "words": ("bad", "good")}
)
PARTS = {
    "verbalizer": "words",
    "shots": "demonstrations",
    "paraphrase": "instruction",
    "response_format": "cue",
    "label_order": "order",
    "chat_template": "chat",
    "system_message": "system",
    "keyword": "instruction",
    "article_mark": "article",
}


def _nearest(word: str) -> Sequence[str]:
    return {"news": ["press", "media", "story"], "text": ["words"]}.get(word, [])


def _offered(operator: str, prompt: Prompt = SEED, **changes: object) -> list[Prompt]:
    found = list(neighbours(prompt, moves((operator,), **changes)))
    assert {name for name, _ in found} <= {operator}
    return [other for _, other in found]


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_changes_its_part_alone(operator: str) -> None:
    seeds = SEEDS.model_copy(update={"systems": ["", "Be brief."], "articles": ["A: ", "News: "]})
    chat = SEED.model_copy(update={"chat": True})
    found = _offered(operator, chat, seeds=seeds, chats=(False, True), nearest=_nearest)
    assert found
    part = PARTS[operator]
    for other in found:
        assert getattr(other, part) != getattr(chat, part)
        assert other.model_copy(update={part: getattr(chat, part)}) == chat


def test_an_operator_that_is_left_out_offers_nothing() -> None:
    assert not list(neighbours(SEED, moves(())))
    assert not _offered("keyword")  # no embeddings at hand
    assert not _offered("system_message")  # no chat
    assert not _offered("paraphrase", fits=lambda prompt: False)


def test_a_system_message_is_switched_on_and_off() -> None:
    seeds = SEEDS.model_copy(update={"systems": ["Be brief.", "You read news."]})
    on = SEED.model_copy(update={"chat": True, "system": "Be brief."})
    assert [p.system for p in _offered("system_message", on, seeds=seeds)] == ["", "You read news."]


@pytest.mark.parametrize(("labels", "orders"), [(2, 1), (3, 5), (4, 23), (5, 9)])
def test_few_labels_are_tried_in_all_orders(labels: int, orders: int) -> None:
    words = tuple("abcde"[:labels])
    prompt = SEED.model_copy(update={"words": words, "order": tuple(range(labels))})
    found = [p.order for p in _offered("label_order", prompt)]
    assert len(set(found)) == len(found) == orders
    assert tuple(range(labels))[::-1] in found
    assert all(sorted(order) == list(range(labels)) for order in found)
    assert not _offered("label_order", prompt.model_copy(update={"instruction": "Read."}))


def test_a_keyword_is_replaced_by_its_nearest_words() -> None:
    found = list(substitutions("Classify each News text as {text}.", _nearest, 2))
    assert found == ["Classify each News words as {text}."]
    found = [p.instruction for p in _offered("keyword", nearest=_nearest)]
    assert found == [
        f"Classify each {word} as {{labels}}."
        for word in ("press text", "media text", "news words")
    ]


def test_paraphrases_are_no_near_copies() -> None:
    instruction = "Classify each news text as {labels}."
    found = paraphrases(instruction, ["", instruction, "Name the topic."], 0.9)
    assert found[:2] == ["", "Name the topic."]
    assert "Decide whether each news text is {labels}." in found
    assert len(found) >= 7
    assert all("{labels}" in text for text in found[2:])
    strict = paraphrases(instruction, [instruction], 0.6)
    assert 0 < len(strict) < len(found) - 2
    assert "Decide whether each news text is {labels}." not in strict
    assert paraphrases("", [""], 0.9)  # an empty instruction becomes a real one


LABELS = (0, 0, 0, 0, 1, 1, 1, 2, 2, 2)
MANY = [Shot(f"n{n}", f"shot {n} {'x' * n}", label) for n, label in enumerate(LABELS)]
SHOT_OF = {shot.id: shot for shot in MANY}
FAR = [5.0, 1.0, 2.0, 9.0, 3.0, 0.5, 8.0, 4.0, 6.0, 7.0]


def test_sets_of_shots_are_balanced_and_leave_two_of_each_label() -> None:
    sets = demonstration_sets(MANY, FAR, 3, 5, 8)
    numbers = [[MANY.index(SHOT_OF[one.shot]) for one in shown] for shown in sets]
    assert numbers == [[], [5], [1, 5], [7, 1, 5], [2, 7, 1, 5]]
    assert [d.label for d in sets[3]] == [2, 0, 1]
    assert sets[1][0].text == "shot 5"
    assert [len(shown) for shown in demonstration_sets(MANY, FAR, 3, 2, 8)] == [0, 1, 2]
    assert demonstration_sets([], [], 3, 5, 8) == [()]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Three die in flood", "Three die in flood"),  # shorter than what may be shown
        ("Three people die in a flood", "Three people die in a"),
        ("洪水. " + "三人在洪水中死亡" * 5, "洪水. " + "三人在洪水中死亡" * 2 + "三人"),
    ],
)
def test_a_shot_is_cut_after_a_word_where_it_has_words(text: str, shown: str) -> None:
    assert demonstration(Shot("n0", text, 0), 23).text == shown


@pytest.mark.parametrize("blocks", [0, 2])
def test_the_nearest_shots_are_like_the_articles(blocks: int) -> None:
    draw = np.random.default_rng(0)
    texts = ["rain floods town"] * 3 + ["storm floods town", "match won cup"]
    states = draw.normal(size=(5, blocks, 4))
    states[4] += 9.0
    empty = np.zeros((5, 4))
    scores = Scores(*(array.astype(np.float32) for array in (empty[:, :2], empty, states)))
    near, far = distances(scores, texts, 3)
    assert near < far
