"""Truncation: a long article ends with a sentence, in every script, and every reader agrees."""

import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from akd.errors import InputError
from akd.models.scoring import TextScorer
from akd.models.truncation import check_room, excerpts, sentence_end, truncated
from tests.conftest import SENTENCES


def _read(text: str, tokenizer: PreTrainedTokenizerFast, upto: str) -> str:
    """Read as many tokens of a text as its beginning `upto` has."""
    budget = len(tokenizer(upto, add_special_tokens=False).input_ids)
    [excerpt] = excerpts([text], tokenizer, budget)
    assert not excerpt.whole
    assert len(excerpt.tokens) <= budget
    assert tokenizer.decode(excerpt.tokens) == excerpt.text
    return excerpt.text


def test_a_short_text_is_read_whole(tokenizer: PreTrainedTokenizerFast) -> None:
    [excerpt] = excerpts(SENTENCES[:1], tokenizer, 1000)
    assert (excerpt.whole, excerpt.text) == (True, SENTENCES[0])
    length = len(excerpt.tokens)
    assert excerpts(SENTENCES[:1], tokenizer, length)[0].whole
    assert not excerpts(SENTENCES[:1], tokenizer, length - 1)[0].whole
    assert excerpts([], tokenizer, 3) == []


@pytest.mark.parametrize(
    ("kept", "rest"),
    [
        ("The storm flooded the town.", " Rescue teams"),
        ("Is it safe? Yes!", " Officials say"),
        ('He said: "We left our homes."', " The night was"),
        ("The storm flooded the town\n", "Officials warn that"),
        ("暴雨淹没了城市。", "救援队正在"),
        ("他说：“我们离开了家。”", "夜里"),
        ("ذهب الناس؟", " ثم عاد"),
        ("लोग घर गए।", " रात में"),
        ("The town paid 3.5 million to J. Smith of the U.S. army.", " Then the"),
    ],
)
def test_a_long_text_ends_with_a_sentence(
    tokenizer: PreTrainedTokenizerFast, kept: str, rest: str
) -> None:
    assert _read(f"{kept}{rest} and more", tokenizer, kept + rest) == kept


@pytest.mark.parametrize(
    "start",
    ["The town paid 3.5", "We saw J. Smith of the U.S. army", "The web site news.com said so"],
)
def test_a_point_within_a_sentence_ends_none(
    tokenizer: PreTrainedTokenizerFast, start: str
) -> None:
    assert _read(f"{start} million and more", tokenizer, start) == start


def test_at_least_half_of_the_budget_is_read(tokenizer: PreTrainedTokenizerFast) -> None:
    start = "No. The storm flooded the town and hundreds of people"
    assert _read(f"{start} left their homes.", tokenizer, start) == start


def test_a_sentence_that_ends_with_the_budget(tokenizer: PreTrainedTokenizerFast) -> None:
    assert _read("The storm. The town. More", tokenizer, "The storm. The town.") == (
        "The storm. The town."
    )


@pytest.mark.parametrize(
    ("text", "whole", "first"),
    [
        (" The storm. The town", False, " The storm."),
        (" The storm.", False, None),  # it may go on: The storm.com
        (" The storm.", True, " The storm."),
        (" It cost 3.5 million", False, None),
        (" The storm\nNews", False, " The storm"),
        ("\nNews", False, ""),
        ("暴雨。救援", False, "暴雨。"),
        (" The storm", True, None),
    ],
)
def test_the_first_sentence_of_a_text_that_grows(text: str, whole: bool, first: str | None) -> None:
    end = sentence_end(text, whole=whole)
    assert (None if end is None else text[:end]) == first


def test_tokens_are_those_of_the_excerpt(tokenizer: PreTrainedTokenizerFast) -> None:
    found = truncated(SENTENCES, tokenizer, 9)
    assert found == [excerpt.tokens for excerpt in excerpts(SENTENCES, tokenizer, 9)]


def test_a_prompt_that_leaves_no_room_is_refused(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    check_room(200, 50, 6, 256)
    check_room(200, 50, 7, None)
    with pytest.raises(InputError, match="takes 207 of the 256 tokens .* no room for 50 of an art"):
        check_room(200, 50, 7, 256)
    with pytest.raises(InputError, match=r"or `label\.article_tokens`"):
        TextScorer(
            llama,
            tokenizer,
            before=[5] * 200,
            after=[6] * 7,
            labels=[[7], [8]],
            text_tokens=50,
            batch_size=2,
            layers=[],
        )
