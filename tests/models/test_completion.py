"""Keyword expansion by a model: nothing but a list, the same under one seed."""

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from akd.models.completion import ListOnly, _in_script_of, _in_turn, _keywords, complete_keywords

SEEDS = {"disaster": ["storm", "fire"], "joy": ["festival"]}


def _complete(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, seed: int
) -> dict[str, list[tuple[str, float]]]:
    return complete_keywords(
        model,
        tokenizer,
        SEEDS,
        languages=["English", "French"],
        temperature=5.0,  # a random model is too sure of what it says
        per_domain=4,
        seed=seed,
    )


def test_a_random_model_writes_lists_and_repeats_them_under_its_seed(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    comma = tokenizer(",", add_special_tokens=False).input_ids[0]

    def like_commas(_head: nn.Module, _inputs: object, logits: torch.Tensor) -> torch.Tensor:
        return logits + 9.0 * torch.nn.functional.one_hot(torch.tensor(comma), logits.shape[-1])

    model.get_output_embeddings().register_forward_hook(like_commas)
    first, again = (_complete(model, tokenizer, 1) for _ in range(2))
    assert first == again
    assert _complete(model, tokenizer, 2) != first
    for name, words in first.items():
        assert 1 <= len(words) <= 4
        for word, score in words:
            assert score == 0.0
            assert word.casefold() not in SEEDS[name]
            assert all(c.isalnum() or c in " -'’" for c in word)


def test_only_tokens_of_a_list_are_allowed(tokenizer: PreTrainedTokenizerFast) -> None:
    rule = ListOnly(tokenizer, vocabulary=512)
    scores = rule(torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, 512))[0]
    allowed = {tokenizer.decode([t]) for t in range(len(tokenizer)) if scores[t] == 0}
    assert {"a", ",", " ", "\n", tokenizer.eos_token} <= allowed
    assert not {".", "<", "(", ":", "&"} & allowed
    assert torch.isinf(scores[len(tokenizer) :]).all()


def test_the_list_ends_with_its_line_and_a_cut_keyword_is_left_out() -> None:
    assert _keywords(" flood, heavy rain, x\nand more") == ["flood", "heavy rain"]
    assert _keywords(" flood, heavy rain, cut of") == ["flood", "heavy rain"]
    assert _keywords("洪水、暴雨，地震\n") == ["洪水", "暴雨", "地震"]
    assert _keywords("a list of very many words here, flood\n") == ["flood"]


def test_a_language_is_asked_with_the_seeds_in_its_script() -> None:
    assert _in_script_of("English", ["flood", "洪水"]) == ["flood"]
    assert _in_script_of("中文", ["flood", "洪水"]) == ["洪水"]
    assert _in_script_of("العربية", ["flood", "洪水"]) == ["flood", "洪水"]


def test_languages_take_turns_and_known_words_are_left_out() -> None:
    assert _in_turn([["Flood", "fire"], ["inondation", "flood"]], {"fire"}) == [
        "Flood",
        "inondation",
    ]
