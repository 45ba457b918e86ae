"""Scoring: the shared prefix, batches and order change nothing but the time."""

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from akd.models.architecture import transformer_blocks
from akd.models.embedding import MiddleLayerEmbedder
from akd.models.scoring import TextScorer
from tests.conftest import SENTENCES, tiny_model

LABELS = [301, 302, 40]


def _scorer(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, **changes: object
) -> TextScorer:
    settings: dict[str, object] = {
        "before": [5, 6, 7],
        "after": [9, 10],
        "label_tokens": LABELS,
        "text_tokens": 12,
        "batch_size": 2,
        "layers": [1, 2],
    }
    return TextScorer(model, tokenizer, **{**settings, **changes})  # type: ignore[arg-type]


def test_scores_are_those_of_one_plain_pass_over_each_text(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    scores = _scorer(model, tokenizer).score(SENTENCES)
    for row, text in enumerate(SENTENCES):
        inner = tokenizer(text, add_special_tokens=False).input_ids[:12]
        with torch.no_grad():
            out = model(torch.tensor([[5, 6, 7, *inner, 9, 10]]), output_hidden_states=True)
        expected = out.logits[0, -1, : len(tokenizer)].log_softmax(-1)[LABELS]
        np.testing.assert_allclose(scores.log_probabilities[row], expected, atol=1e-4)
        np.testing.assert_allclose(scores.decision[row], out.hidden_states[-1][0, -1], atol=1e-4)
        for position, layer in enumerate((1, 2)):
            pooled = out.hidden_states[layer][0, 3 : 3 + len(inner)].mean(0)
            np.testing.assert_allclose(scores.states[row, position], pooled, atol=1e-4)


def test_order_and_batch_size_do_not_matter(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    forward = _scorer(llama, tokenizer).score(SENTENCES)
    backward = _scorer(llama, tokenizer, batch_size=5).score(SENTENCES[::-1])
    np.testing.assert_allclose(
        forward.log_probabilities, backward.log_probabilities[::-1], atol=1e-5
    )
    again = _scorer(llama, tokenizer).score(SENTENCES)
    assert forward.decision.tobytes() == again.decision.tobytes()


def test_a_prompt_without_a_prefix(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    scores = _scorer(llama, tokenizer, before=[]).score(["fire"])
    inner = tokenizer("fire", add_special_tokens=False).input_ids
    with torch.no_grad():
        logits = llama(torch.tensor([[*inner, 9, 10]])).logits[0, -1, : len(tokenizer)]
        expected = logits.log_softmax(-1)[LABELS]
    np.testing.assert_allclose(scores.log_probabilities[0], expected, atol=1e-5)


def test_padded_rows_of_the_vocabulary_have_no_mass(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    before = _scorer(model, tokenizer).score(SENTENCES).log_probabilities
    with torch.no_grad():
        model.get_output_embeddings().weight[len(tokenizer) :] = 50.0
    after = _scorer(model, tokenizer).score(SENTENCES).log_probabilities
    np.testing.assert_array_equal(before, after)


def test_no_text_at_all(llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    assert _scorer(llama, tokenizer).score([]).log_probabilities.shape == (0, 3)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_embeddings_are_means_after_the_first_blocks(
    family: str, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = tiny_model(family)
    embedder = MiddleLayerEmbedder(model, tokenizer, layers=2, text_tokens=8, batch_size=2)
    assert len(transformer_blocks(model)) == 2
    vectors = embedder.embed(SENTENCES)
    tokens = tokenizer(SENTENCES[1], add_special_tokens=False).input_ids[:8]
    with torch.no_grad():
        alone = model.base_model(torch.tensor([tokens])).last_hidden_state[0].mean(0)
    np.testing.assert_allclose(vectors[1], alone, atol=1e-5)
