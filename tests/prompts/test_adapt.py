"""Adapting ends in a classifier; a pin ends the search."""

from dataclasses import replace

import pytest
import yaml
from transformers import PreTrainedTokenizerFast

from akd.errors import InputError
from akd.prompts.adapt import Adaptation, adapt, material_of
from akd.prompts.pin import pin_of, pinned_prompt
from akd.prompts.search import seed_prompt
from akd.prompts.template import Prompt, label_paths, render
from akd.specs.prompts import PromptParams
from akd.task import PromptSeeds, Task
from tests.conftest import ROOT
from tests.prompts.oracle import FREE, PIN, SEEDS, SHOTS, Oracle, settings, teacher


def _task(seeds: PromptSeeds) -> Task:
    raw = yaml.safe_load((ROOT / "data" / "tasks" / "crisis" / "task.yaml").read_text())
    raw["labels"] = [raw["labels"][0], raw["labels"][2]]
    return Task.model_validate({**raw, "prompt": seeds.model_dump()})


def _adapt(
    tokenizer: PreTrainedTokenizerFast,
    search: PromptParams,
    *,
    seeds: PromptSeeds = SEEDS,
    shots: list = SHOTS,
    oracle: Oracle | None = None,
) -> Adaptation:
    asked = teacher(oracle or Oracle(), tokenizer)
    pin = search.pins.get("crisis")
    return adapt(
        _task(seeds), asked, shots=shots, unlabelled=FREE, settings=search, pin=pin, seed=1
    )


def test_adapting_ends_in_a_classifier_and_a_tree(tokenizer: PreTrainedTokenizerFast) -> None:
    found = _adapt(tokenizer, settings())
    classes = found.adapted.calibrator.probabilities(Oracle()(found.adapted.prompt, FREE))
    assert classes.argmax(1).tolist() == [0, 1, 0, 1]
    assert found.best.prompt == found.adapted.prompt
    summary = found.summary()
    assert summary["prompts_scored"] == len(found.nodes) == 8
    assert summary["pinned"] is False


def test_a_prompt_fits_only_with_the_labels_that_are_read_behind_it(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    words = ("storm storm", "storm fire")
    prompt = Prompt(chat=False, system="", instruction="", article="News: ", cue="\nIt is",
                    words=words, order=(0, 1), demonstrations=())  # fmt: skip
    before, after = render(prompt, tokenizer)
    room = len(before) + 20 + len(after)
    deepest = max(map(len, label_paths(prompt, tokenizer))) - 1
    assert deepest > 0
    asked = teacher(Oracle(), tokenizer)
    assert not replace(asked, context=room).fits(prompt)
    assert replace(asked, context=room + deepest).fits(prompt)


def test_known_shares_of_the_labels_are_part_of_what_is_adapted(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    shares = {"safe and harmless": 0.999, "risk and warning": 0.001}
    found = _adapt(tokenizer, settings(shares=shares))
    classes = found.adapted.calibrator.probabilities(Oracle()(found.adapted.prompt, FREE))
    assert classes.argmax(1).tolist() == [1, 1, 1, 1]
    with pytest.raises(InputError, match="names urgent, and the labels of the task are"):
        _adapt(tokenizer, settings(shares={"urgent": 1.0}))


@pytest.mark.parametrize("kind", ["contextual", "pmi_dc"])
def test_the_adapted_prompt_is_asked_about_texts_without_content(
    kind: str, tokenizer: PreTrainedTokenizerFast
) -> None:
    oracle = Oracle()
    found = _adapt(tokenizer, settings(kind), oracle=oracle)
    asked = [
        [*texts]
        for prompt, texts in zip(oracle.asked, oracle.texts, strict=True)
        if prompt == found.adapted.prompt
    ]
    assert (["N/A", "[MASK]", ""] if kind == "contextual" else [""]) in asked
    classes = found.adapted.calibrator.probabilities(Oracle()(found.adapted.prompt, FREE))
    assert classes.sum(axis=1).round(6).tolist() == [1.0] * len(FREE)


def test_candidates_are_measured_on_articles_of_every_source() -> None:
    sources = [f"{source} {number}" for source in ("bbc", "lee") for number in range(20)]
    measured = material_of(settings(unlabelled=8), SHOTS, sources).unlabelled
    assert len(measured) == 8
    assert {text[:3] for text in measured} == {"bbc", "lee"}


def test_a_calibration_that_needs_shots_is_refused_without(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    with pytest.raises(InputError, match="calibration 'auto' needs shots"):
        _adapt(tokenizer, settings("auto"), shots=[])


def test_label_words_that_one_token_begins_are_left_out(tokenizer: PreTrainedTokenizerFast) -> None:
    clashing = ["zz1", "zz2"]
    both = SEEDS.model_copy(update={"verbalizers": [clashing, ["bad", "good"]]})
    found = _adapt(tokenizer, settings(), seeds=both)
    assert {node.prompt.words for node in found.nodes} == {("bad", "good")}
    with pytest.raises(InputError, match="add other `verbalizers`"):
        only = SEEDS.model_copy(update={"verbalizers": [clashing]})
        _adapt(tokenizer, settings(), seeds=only)


def test_a_prompt_that_the_teacher_cannot_read_is_not_offered(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    long = SEEDS.model_copy(update={"instructions": ["", "Say {labels}. " * 40]})
    search = settings(operators=["paraphrase"], budget=50)
    found = _adapt(tokenizer, search, seeds=long)
    assert len(found.nodes) > 2
    assert all(len(node.prompt.instruction) < 200 for node in found.nodes)


def test_shots_that_the_winner_shows_do_not_calibrate_it(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    oracle = Oracle()
    _adapt(tokenizer, settings(pins={"crisis": PIN}), oracle=oracle)
    assert oracle.texts[-1] == [shot.text for n, shot in enumerate(SHOTS) if n not in (3, 0)]


def test_a_pin_is_measured_beside_the_seed_and_nothing_is_searched(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    found = _adapt(tokenizer, settings(pins={"crisis": PIN, "another": PIN}))
    assert [node.operator for node in found.nodes] == ["seed", "pin"]
    assert pin_of(found.adapted.prompt) == PIN
    assert found.adapted.pinned
    assert found.summary()["pinned"] is True
    free = _adapt(tokenizer, settings(pins={"another": PIN}))
    assert len(free.nodes) == 8


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"words": ["bad", "bad"]}, "give it one distinct word for each"),
        ({"words": ["a", "b", "c"]}, "but the task 2 labels"),
        ({"order": [0, 2]}, "name each of 0 to 1 once"),
        ({"shots": ["n8"]}, "shows the shot 'n8', which is none of the 8 that"),
    ],
)
def test_a_pin_that_does_not_suit_the_task(
    tokenizer: PreTrainedTokenizerFast, parts: dict[str, object], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        _adapt(tokenizer, settings(pins={"crisis": PIN.model_copy(update=parts)}))


def test_a_pinned_seed_is_scored_once(tokenizer: PreTrainedTokenizerFast) -> None:
    pin = pin_of(seed_prompt(SEEDS, 2, False))
    assert pinned_prompt(pin, [], 2, 20) == seed_prompt(SEEDS, 2, False)
    found = _adapt(tokenizer, settings(pins={"crisis": pin}))
    assert len(found.nodes) == 1
    assert found.adapted.pinned


def test_too_few_shots_of_a_label_are_refused_before_the_teacher_is_asked(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    oracle = Oracle()
    with pytest.raises(InputError, match="has 1 of the 3 shots.* take 4 or more"):
        _adapt(tokenizer, settings("auto"), shots=SHOTS[:3], oracle=oracle)
    shown = PIN.model_copy(update={"shots": ["n0", "n2", "n4"]})
    with pytest.raises(InputError, match="has 1 of the 5 shots"):
        _adapt(tokenizer, settings("auto", pins={"crisis": shown}), oracle=oracle)
    assert not oracle.asked


def test_a_pin_of_a_form_that_the_teacher_does_not_take(tokenizer: PreTrainedTokenizerFast) -> None:
    oracle = Oracle()
    plain = replace(teacher(oracle, tokenizer), chats=(False,))
    chat = PIN.model_copy(update={"chat": True})
    with pytest.raises(InputError, match="has `chat: true`, and the teacher takes `chat: false`"):
        adapt(
            _task(SEEDS), plain, shots=SHOTS, unlabelled=FREE, settings=settings(), pin=chat, seed=1
        )
    assert not oracle.asked


def test_a_server_writes_its_prompts_itself(tokenizer: PreTrainedTokenizerFast) -> None:
    mute = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    chat = seed_prompt(SEEDS, 2, True)
    here = replace(teacher(Oracle(), mute), context=None)  # a model that states no context
    assert here.fits(chat.model_copy(update={"chat": False}))
    assert not here.fits(chat)
    assert replace(here, local=False).fits(chat)
