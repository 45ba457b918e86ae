"""Words as tokens: how a tokenizer writes one that stands behind others."""

from transformers import PreTrainedTokenizerBase

BYTE_SPACE, PIECE_SPACE = "\u0120", "\u2581"  # the space of byte-level BPE, of SentencePiece


def after_space(word: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens of a word as it stands after a space.

    Some tokenizers of SentencePiece put a space before every text: a second one would be a token
    of its own, with which all words began.
    """
    alone: list[int] = tokenizer(word, add_special_tokens=False).input_ids
    begun = tokenizer.convert_ids_to_tokens(alone[:1])
    if begun and str(begun[0]).startswith(PIECE_SPACE):
        return alone
    spaced: list[int] = tokenizer(f" {word}", add_special_tokens=False).input_ids
    return spaced
