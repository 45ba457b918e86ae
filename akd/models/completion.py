"""Keyword expansion by a language model that goes on with a list and can write nothing else."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from akd.console import progress
from akd.models.load import vocabulary_of

_LIST = re.compile(r"[^\W_]*(?:[ ,、，'’-]+[^\W_]*)*")
"""What a token of a list may hold: letters, digits, spaces, commas, hyphens and apostrophes."""
_SEPARATOR = re.compile(r"[,、，\n]")
_LONGEST_WORDS = 4  # of a keyword
_NEW_TOKENS = 80  # of one completion: some twenty keywords


class ListOnly(LogitsProcessor):
    """Forbids every token that cannot stand in a list on one line; a line or the text may end.

    Args:
        tokenizer: of the model.
        vocabulary: rows of its head; rows beyond the tokenizer's tokens are padding, forbidden too.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> None:
        texts = tokenizer.batch_decode([[token] for token in range(vocabulary_of(tokenizer))])
        allowed = torch.zeros(vocabulary, dtype=torch.bool)
        for token, text in enumerate(texts[:vocabulary]):
            allowed[token] = text == "\n" or bool(text and _LIST.fullmatch(text))
        allowed[tokenizer.all_special_ids] = False
        allowed[tokenizer.eos_token_id] = True
        self._allowed = allowed

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Return the scores (batch, vocabulary) with -inf where a token is forbidden."""
        return scores.masked_fill(~self._allowed.to(scores.device), -torch.inf)


def complete_keywords(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    seeds: Mapping[str, Sequence[str]],
    *,
    languages: Sequence[str],
    temperature: float,
    per_domain: int,
    seed: int,
) -> dict[str, list[tuple[str, float]]]:
    """Return keywords with which the model goes on with each domain's seeds ([ANON] 3.1).

    Args:
        model: a causal language model in evaluation mode.
        tokenizer: its tokenizer.
        seeds: keywords of each domain.
        languages: in each of which the model is asked, by its own name (English, 中文): it goes on
            with the seeds in the script of that name, or with all if there are none.
        temperature: of the samples; [ANON] takes 0.5.
        per_domain: how many keywords of each domain, taken from the languages in turn.
        seed: of the samples.

    Returns:
        Keywords with the score 0: the model does not grade them.
    """
    set_seed(seed)
    rule = LogitsProcessorList([ListOnly(tokenizer, model.config.vocab_size)])
    generate = cast(Callable[..., torch.Tensor], model.generate)
    found = {}
    shown = progress(seeds.items(), description="keywords", unit="domain", total=len(seeds))
    for name, keywords in shown:
        lists = []
        for language in languages:
            topic = name.replace("_", " ")
            listed = ", ".join(_in_script_of(language, keywords))
            prompt = f"A list of {language} keywords about {topic}, separated by commas: {listed},"
            tokens = tokenizer(prompt, return_tensors="pt").to(model.device)
            written = generate(
                **tokens,
                do_sample=True,
                temperature=temperature,
                max_new_tokens=_NEW_TOKENS,
                logits_processor=rule,
                pad_token_id=tokenizer.pad_token_id,
            )[0, tokens.input_ids.shape[1] :]
            lists.append(_keywords(str(tokenizer.decode(written, skip_special_tokens=True))))
        known = {keyword.casefold() for keyword in keywords}
        found[name] = [(word, 0.0) for word in _in_turn(lists, known)][:per_domain]
    return found


def _keywords(text: str) -> list[str]:
    """Return the keywords of the first line; the last one may be cut and is left out."""
    line, ended, _ = text.lstrip().partition("\n")
    parts = [" ".join(part.split()) for part in _SEPARATOR.split(line)]
    whole = parts if ended else parts[:-1]
    named = [part for part in whole if len(part) > 1 and any(map(str.isalpha, part))]
    return [part for part in named if len(part.split()) <= _LONGEST_WORDS]


def _in_script_of(language: str, keywords: Sequence[str]) -> Sequence[str]:
    written = [word for word in keywords if _script(word) == _script(language)]
    return written or keywords


def _script(word: str) -> str:
    """Return the first word of the Unicode name of the first character: LATIN, CJK, ARABIC."""
    return unicodedata.name(word[0], "").partition(" ")[0]


def _in_turn(lists: Sequence[Sequence[str]], known: set[str]) -> list[str]:
    """Return the new words of several lists, one of each in turn."""
    turns = sorted((turn, row) for row, words in enumerate(lists) for turn in range(len(words)))
    fresh: dict[str, str] = {}
    for turn, row in turns:
        word = lists[row][turn]
        if word.casefold() not in known:
            fresh.setdefault(word.casefold(), word)
    return list(fresh.values())
