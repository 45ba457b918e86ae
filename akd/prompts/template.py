"""The prompt of a classifier: what stands before and after the article, and its label words."""

import itertools
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from transformers import PreTrainedTokenizerBase

from akd.errors import InputError
from akd.models.words import after_space
from akd.prompts.chat import in_chat

_ARTICLE = "\u241farticle\u241f"  # marks the article's place while a chat template is rendered


class Demonstration(BaseModel):
    """An annotated article shown in the prompt; `shot` is its id in shots.jsonl."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shot: str
    text: str
    label: int


class Prompt(BaseModel):
    """A prompt in parts, so that a search can change each ([ANON] 2.1).

    `{labels}` in the instruction stands for the label words in `order`; `words` has one for each
    label, in the order of the task. `chat` uses the chat template of the tokenizer, and `system`
    is its system message (empty for none); without `chat` the parts are joined as plain text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    chat: bool
    system: str
    instruction: str
    article: str  # stands before each article
    cue: str  # stands after each article; the label word follows
    words: tuple[str, ...]
    order: tuple[int, ...]
    demonstrations: tuple[Demonstration, ...]

    def bare(self) -> "Prompt":
        """Return the prompt without system message, instruction and demonstrations."""
        update = {"chat": False, "system": "", "instruction": "", "demonstrations": ()}
        return self.model_copy(update=update)


def render_text(prompt: Prompt) -> tuple[str, str]:
    """Return what stands before and after the article, as text without any chat template."""
    shown = "".join(
        f"{prompt.article}{shot.text}{prompt.cue} {prompt.words[shot.label]}\n\n"
        for shot in prompt.demonstrations
    )
    instruction = instruction_of(prompt)
    head = f"{instruction}\n\n" if instruction else ""
    return f"{head}{shown}{prompt.article}", prompt.cue


def instruction_of(prompt: Prompt) -> str:
    """Return the instruction as the model reads it, with the label words in their order."""
    return prompt.instruction.replace("{labels}", _enumerate(prompt))


def render(prompt: Prompt, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Return the tokens before and after the article.

    Raises:
        InputError: if the prompt wants a chat template that the tokenizer does not have.
    """
    before, after = render_text(prompt)
    if prompt.chat:
        message = in_chat(f"{before}{_ARTICLE}", prompt.system, tokenizer)
        before, _, end = message.partition(_ARTICLE)
        after = end + after.lstrip("\n")
    head = tokenizer(before, add_special_tokens=not prompt.chat).input_ids
    if not prompt.chat:
        head = _without_end(head, tokenizer)
    return head, tokenizer(after, add_special_tokens=False).input_ids


def label_tokens(prompt: Prompt, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the first token of each label word, as it stands after the cue.

    Raises:
        InputError: if two words begin with the same token, so that one position cannot tell
            them apart.
    """
    tokens = _first_tokens(prompt.words, tokenizer)
    if len(set(tokens)) < len(tokens):
        raise InputError(
            f"label words {', '.join(prompt.words)}: two begin with the same token of this "
            "tokenizer: choose other verbalizers in task.yaml, or, where it is the student's, "
            "`distill.readout: pooled`, which needs none"
        )
    return tokens


def label_paths(prompt: Prompt, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Return the tokens by which each label word is known, as they stand after the cue.

    Where the first tokens differ they say enough; else the words count with all their tokens.

    Raises:
        InputError: if all tokens of a word begin another, so that the one includes the other.
    """
    if tells_apart(prompt.words, tokenizer):
        return [[token] for token in label_tokens(prompt, tokenizer)]
    if not tells_apart_in_full(prompt.words, tokenizer):
        raise InputError(
            f"label words {', '.join(prompt.words)}: the tokens of one begin another: choose other "
            "verbalizers in task.yaml"
        )
    return _all_tokens(prompt.words, tokenizer)


def tells_apart_in_full(words: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether no word's tokens begin another's, as `label_paths` needs it."""
    pairs = itertools.permutations(_all_tokens(words, tokenizer), 2)
    return not any(other[: len(tokens)] == tokens for tokens, other in pairs)


def tells_apart(words: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether the words begin with different tokens, as `label_tokens` needs them."""
    return len(set(_first_tokens(words, tokenizer))) == len(words)


def beginning(words: Sequence[str]) -> tuple[str, str] | None:
    """Return a word and another that begins with it, whose texts do not tell them apart."""
    pairs = itertools.permutations(words, 2)
    return next(((word, other) for word, other in pairs if other.startswith(word)), None)


def told_tokens(word: str, cue: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return a label word as an answer, and the cue of its reason: what a reason goes on from."""
    after: list[int] = tokenizer(cue, add_special_tokens=False).input_ids
    return [*_all_tokens([word], tokenizer)[0], *after]


def _first_tokens(words: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    return [tokens[0] for tokens in _all_tokens(words, tokenizer)]


def _all_tokens(words: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    return [after_space(word, tokenizer) for word in words]


def _enumerate(prompt: Prompt) -> str:
    words: Sequence[str] = [prompt.words[index] for index in prompt.order]
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _without_end(tokens: list[int], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Drop an end token that a tokenizer adds by itself; a start token is kept."""
    ends = {tokenizer.eos_token_id} - {tokenizer.bos_token_id}
    return tokens[:-1] if tokens and tokens[-1] in ends else tokens
