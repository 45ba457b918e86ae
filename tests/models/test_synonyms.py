"""The nearest words of a model are whole words near to another one in its input embeddings."""

import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from akd.models.synonyms import nearest_words


def test_the_nearest_words_are_whole_other_words(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    [danger], [advice], [harmless] = (
        tokenizer(f" {word}", add_special_tokens=False).input_ids
        for word in ("danger", "advice", "harmless")
    )
    weight = model.get_input_embeddings().weight
    with torch.no_grad():
        weight[advice] = weight[danger] * 3.0  # cosine: length does not count
        weight[harmless] = weight[danger] + 0.3 * weight[danger].norm()
    nearest = nearest_words(model, tokenizer)
    found = nearest("danger")
    assert list(found[:2]) == ["advice", "harmless"]
    assert "danger" not in found
    assert len(found) == len(set(found)) == 16
    assert all(word.isalpha() and word.islower() and len(word) > 2 for word in found)
    assert nearest("Danger")[0] == "Advice"
    assert "danger" not in nearest("dangers")


def test_numbers_of_tokens_may_leave_some_out(model: PreTrainedModel) -> None:
    words = ["fire", "storm", "water"]
    vocabulary = {f"\u0120{word}": 3 * number for number, word in enumerate(words)}
    gappy = Tokenizer(WordLevel({**vocabulary, "?": 100}, unk_token="?"))
    gappy.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    nearest = nearest_words(model, PreTrainedTokenizerFast(tokenizer_object=gappy))
    assert sorted(nearest("fire")) == ["storm", "water"]
