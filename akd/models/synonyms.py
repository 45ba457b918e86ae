"""Words that a language model takes for alike: nearest neighbours among its input embeddings."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import islice

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from akd.models.load import vocabulary_of
from akd.models.words import BYTE_SPACE, PIECE_SPACE, after_space

_MOST = 16  # neighbours told of a word
_STEM = 4  # letters: words that begin with the same ones are taken for forms of one word


def nearest_words(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> Callable[[str], Sequence[str]]:
    """Return a function from a word to the words nearest to it, at most 16, by cosine.

    Candidates are the tokens that are whole words: a space and lower-case letters. Of the forms
    of a word the nearest one is told, and none of the word itself. A word of several tokens is
    their mean. A capital letter is kept.
    """

    @cache
    def candidates() -> tuple[list[str], torch.Tensor]:
        rows = min(vocabulary_of(tokenizer), int(model.config.vocab_size))
        tokens = tokenizer.convert_ids_to_tokens(list(range(rows)))
        whole = [n for n, token in enumerate(tokens) if _is_word(token)]
        return [tokens[n][1:] for n in whole], _unit(_rows(model, whole))

    def nearest(word: str) -> Sequence[str]:
        words, vectors = candidates()
        mean = _unit(_rows(model, after_space(word.lower(), tokenizer)).mean(dim=0, keepdim=True))
        order = (vectors @ mean[0]).argsort(descending=True, stable=True).tolist()
        forms: dict[str, str] = {word.lower()[:_STEM]: ""}
        for n in order:
            forms.setdefault(words[n][:_STEM], words[n])
        chosen = list(islice(filter(None, forms.values()), _MOST))
        return [found.capitalize() if word[0].isupper() else found for found in chosen]

    return nearest


@torch.inference_mode()
def _rows(model: PreTrainedModel, tokens: Sequence[int]) -> torch.Tensor:
    """Return the input embeddings of these tokens (tokens, width) in float32."""
    embeddings = model.get_input_embeddings()
    found: torch.Tensor = embeddings(torch.tensor(tokens, device=model.device))
    return found.float().cpu()


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(vectors, dim=-1)


def _is_word(token: str | None) -> bool:
    """Return whether a token is a whole word; numbers of tokens may leave some out (None)."""
    if token is None or not token.startswith((BYTE_SPACE, PIECE_SPACE)):
        return False
    word = token[1:]
    return len(word) > 2 and word.isascii() and word.islower()
