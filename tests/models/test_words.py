"""A word after a space, in tokenizers that put one before every text and in those that do not."""

import numpy as np
import pytest
from tokenizers import Tokenizer, normalizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from akd.models.questions import question_logits
from akd.models.words import after_space
from akd.prompts.template import label_tokens
from tests.conftest import PROMPT, SENTENCES


@pytest.fixture
def prepending() -> PreTrainedTokenizerFast:
    """A tokenizer like that of Llama 2 or Phi-3: each text begins with a space."""
    bpe = Tokenizer(BPE(unk_token="<unk>"))
    bpe.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    texts = [*SENTENCES, *[*PROMPT.words, "yes", "no"] * 9]
    trainer = BpeTrainer(vocab_size=400, special_tokens=["<unk>"], show_progress=False)
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, unk_token="<unk>", pad_token="<unk>")


def test_a_tokenizer_that_begins_with_a_space_gets_no_second_one(
    prepending: PreTrainedTokenizerFast,
) -> None:
    spaced = [prepending(f" {word}", add_special_tokens=False).input_ids for word in PROMPT.words]
    assert len({tokens[0] for tokens in spaced}) == 1  # a lone space: the words begin alike
    assert len(set(label_tokens(PROMPT, prepending))) == len(PROMPT.words)
    for word in PROMPT.words:
        tokens = prepending.convert_ids_to_tokens(after_space(word, prepending))
        assert "".join(tokens) == f"\u2581{word}"


def test_any_other_tokenizer_gets_one(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.decode(after_space("danger", tokenizer)) == " danger"


def test_yes_and_no_are_two_answers_to_such_a_tokenizer(
    prepending: PreTrainedTokenizerFast, model: PreTrainedModel
) -> None:
    told = question_logits(
        model,
        prepending,
        SENTENCES,
        {"floods": ["storm"]},
        question="Is this about {name} ({phrases})?",
        text_tokens=16,
        batch_size=2,
    )
    logits, _ = told(SENTENCES)
    assert np.ptp(logits) > 0
