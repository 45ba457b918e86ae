"""Chats: the same tokens on every day, and the template that a tokenizer has."""

from datetime import datetime

import pytest
from transformers import PreTrainedTokenizerFast

from akd.errors import InputError
from akd.prompts.chat import in_chat

DATED = (
    "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}|{{ strftime_now('%Y-%m-%d') }}"
    "{% endif %} {% for m in messages %}{{ m['role'] }}: {{ m['content'] }} {% endfor %}"
)


def _with(
    templates: str | dict[str, str], like: PreTrainedTokenizerFast
) -> PreTrainedTokenizerFast:
    made = PreTrainedTokenizerFast(tokenizer_object=like.backend_tokenizer)
    made.chat_template = templates
    return made


def test_a_template_that_prints_the_date_prints_one_and_the_same(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    dated = _with(DATED, tokenizer)
    messages = [{"role": "user", "content": "hello"}]
    plain = dated.apply_chat_template(messages, tokenize=False)
    assert f"{datetime.now().year:04}-" in plain  # what a store must never depend on
    assert in_chat("hello", "", dated) == "26 Jul 2024|2024-07-26 user: hello "
    spoken = _with("\n\n{{ strftime_now('%A, %B %-d, %Y %H:%M') }}", tokenizer)
    assert in_chat("hello", "", spoken) == "\n\nFriday, July 26, 2024 00:00"
    assert in_chat("hello", "Be brief.", dated).endswith(" system: Be brief. user: hello ")


def test_of_several_templates_the_default_is_taken(tokenizer: PreTrainedTokenizerFast) -> None:
    own = "{{ messages[0]['content'] }}!"
    assert in_chat("hello", "", _with({"default": own, "tool_use": "no"}, tokenizer)) == "hello!"
    with pytest.raises(InputError, match="the chat templates rag, tool_use, and none is the defau"):
        in_chat("hello", "", _with({"rag": own, "tool_use": "no"}, tokenizer))
