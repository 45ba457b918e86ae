"""Prompts: the article last, one token that tells the labels apart."""

import pytest
from transformers import LlamaConfig, PreTrainedTokenizerFast

from akd.errors import InputError
from akd.prompts.reading import Reading, load_reading, save_reading
from akd.prompts.template import Demonstration, Prompt, label_paths, label_tokens, render
from tests.conftest import PROMPT

PLAIN = PROMPT.model_copy(
    update={
        "system": "Be brief.",
        "instruction": "Classify as {labels}.",
        "order": (2, 1, 0),
        "demonstrations": (Demonstration(shot="n3", text="Fire.", label=0),),
    }
)


def _shown(prompt: Prompt, tokenizer: PreTrainedTokenizerFast) -> tuple[str, str]:
    before, after = render(prompt, tokenizer)
    return tokenizer.decode(before), tokenizer.decode(after)


def test_a_plain_prompt(tokenizer: PreTrainedTokenizerFast) -> None:
    before, after = _shown(PLAIN, tokenizer)
    assert before == (
        "Classify as harmless, advice or danger.\n\nNews: Fire.\nThis is danger\n\nNews: "
    )
    assert after == "\nThis is"


def test_a_chat_prompt(tokenizer: PreTrainedTokenizerFast) -> None:
    before, after = _shown(PLAIN.model_copy(update={"chat": True}), tokenizer)
    assert before.startswith("<s>system\nBe brief.</s>\n<s>user\nClassify as")
    assert before.endswith("News: ")
    assert after == "</s>\n<s>assistant\nThis is"


def test_a_bare_prompt_keeps_article_and_cue(tokenizer: PreTrainedTokenizerFast) -> None:
    assert _shown(PLAIN.bare(), tokenizer) == ("News: ", "\nThis is")


def test_label_words_need_different_first_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(set(label_tokens(PLAIN, tokenizer))) == 3
    with pytest.raises(InputError, match="two begin with the same token"):
        label_tokens(PLAIN.model_copy(update={"words": ("zz1", "zz2", "good")}), tokenizer)


def test_label_words_that_begin_alike_count_with_all_their_tokens(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    assert label_paths(PLAIN, tokenizer) == [[token] for token in label_tokens(PLAIN, tokenizer)]
    alike = PLAIN.model_copy(update={"words": ("zz1", "zz2", "good")})
    paths = label_paths(alike, tokenizer)
    assert [tokenizer.decode(path) for path in paths] == [" zz1", " zz2", " good"]
    assert paths[0][0] == paths[1][0]
    within = PLAIN.model_copy(update={"words": ("zz", "zz2", "good")})
    with pytest.raises(InputError, match="the tokens of one begin another"):
        label_paths(within, tokenizer)


def test_a_chat_prompt_needs_a_template(tokenizer: PreTrainedTokenizerFast) -> None:
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(InputError, match="no chat template"):
        render(PLAIN.model_copy(update={"chat": True}), bare)


def test_a_template_that_refuses_a_system_message(tokenizer: PreTrainedTokenizerFast) -> None:
    strict = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    strict.chat_template = (
        "{% if messages|length > 1 %}{{ raise_exception('No system') }}{% endif %}"
    )
    strict.chat_template += "{{ messages[0]['content'] }}"
    chat = PLAIN.model_copy(update={"chat": True, "system": ""})
    assert render(chat, strict)
    with pytest.raises(InputError, match=r"refuses the prompt \(No system\): where that is its"):
        render(chat.model_copy(update={"system": "Be brief."}), strict)


def test_a_reading_comes_back_and_encodes(tmp_path, tokenizer: PreTrainedTokenizerFast) -> None:
    reading = Reading(PLAIN.bare(), ["a", "b", "c"], 3)
    save_reading(reading, LlamaConfig(), tmp_path)
    again = load_reading(tmp_path)
    assert again == reading
    [tokens] = again.encode(["A fire burned near the harbour"], tokenizer)
    before, after = render(PLAIN.bare(), tokenizer)
    assert len(tokens) == len(before) + 3 + len(after)
