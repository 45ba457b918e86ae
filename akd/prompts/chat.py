"""A prompt as a chat: what the template of a tokenizer makes of it, the same on every day."""

from datetime import datetime

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from akd.errors import InputError

_DAY = datetime(2024, 7, 26)  # what stands for today: the day that templates of Llama 3 name
_FIELDS = [f"%{flag}{letter}" for letter in "aAbBcdDeFHIjmMpSTuUwWxXyY" for flag in ("", "-")]
_REPLACED = "".join(f"|replace('{field}', '{_DAY.strftime(field)}')" for field in _FIELDS)
# Templates call the function for today's date; a macro of its name comes first. Behind it stands an
# expression, after which no blank of the template's own is trimmed.
_ONE_DAY = (
    f"{{%- macro strftime_now(format) -%}}{{{{ format{_REPLACED} }}}}{{%- endmacro %}}{{{{ '' }}}}"
)


def in_chat(body: str, system: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the chat that asks for an answer to `body`, after a system message if there is any.

    Where a template prints today's date, it prints one and the same: else a text would get other
    scores on another day.

    Raises:
        InputError: if the tokenizer has no chat template, or that refuses the messages.
    """
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": body})
    template = _ONE_DAY + _template(tokenizer)
    try:
        text = tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=True
        )
    except TemplateError as error:
        raise InputError(
            f"the chat template of this tokenizer refuses the prompt ({error}): where that is its "
            "system message, leave system_message out of `prompt.operators`"
        ) from None
    return str(text)


def _template(tokenizer: PreTrainedTokenizerBase) -> str:
    if tokenizer.chat_template is None:
        raise InputError(
            "the prompt is a chat, and this tokenizer has no chat template: set "
            "`distill.student_prompt: bare` if it is the student's, else leave chat_template out "
            "of `prompt.operators`"
        )
    try:
        return tokenizer.get_chat_template()
    except ValueError:  # several, and none of them is `default`
        raise InputError(
            f"this tokenizer has the chat templates {', '.join(sorted(tokenizer.chat_template))}, "
            "and none is the default: leave chat_template out of `prompt.operators`"
        ) from None
