"""Scoring: the shared prefix, batches and order change nothing but the time."""

import itertools
import random
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    CohereConfig,
    FalconH1Config,
    GraniteConfig,
    Lfm2Config,
    MambaConfig,
    MistralConfig,
    OPTConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from akd.errors import InputError
from akd.models.architecture import captured, transformer_blocks
from akd.models.embedding import MiddleLayerEmbedder
from akd.models.scoring import TextScorer, branches
from akd.models.truncation import truncated
from tests.conftest import SENTENCES, tiny_model

LABELS = [301, 302, 40]
TRIE = [[301, 302], [301, 40, 7], [301, 40, 9], [55], [60, 61, 62, 63], [302, 301]]


def _scorer(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, **changes: object
) -> TextScorer:
    settings: dict[str, object] = {
        "before": [5, 6, 7],
        "after": [9, 10],
        "labels": [[token] for token in LABELS],
        "text_tokens": 12,
        "batch_size": 2,
        "layers": [1, 2],
    }
    return TextScorer(model, tokenizer, **{**settings, **changes})  # type: ignore[arg-type]


def test_scores_are_those_of_one_plain_pass_over_each_text(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    texts = [*SENTENCES, ""]  # no text has scores too, and no states to average
    scores = _scorer(model, tokenizer).score(texts)
    for row, text in enumerate(texts):
        inner = tokenizer(text, add_special_tokens=False).input_ids[:12]
        with torch.no_grad():
            out = model(torch.tensor([[5, 6, 7, *inner, 9, 10]]), output_hidden_states=True)
        expected = out.logits[0, -1, : len(tokenizer)].log_softmax(-1)[LABELS]
        np.testing.assert_allclose(scores.log_probabilities[row], expected, atol=1e-4)
        np.testing.assert_allclose(scores.decision[row], out.hidden_states[-1][0, -1], atol=1e-4)
        for position, layer in enumerate((1, 2) if inner else ()):
            pooled = out.hidden_states[layer][0, 3 : 3 + len(inner)].mean(0)
            np.testing.assert_allclose(scores.states[row, position], pooled, atol=1e-4)


def _small(config: type[PreTrainedConfig], **changes: object) -> PreTrainedModel:
    """Return a random model of two blocks whose vocabulary is padded to 512."""
    torch.manual_seed(0)
    size = {"vocab_size": 512, "hidden_size": 32, "num_hidden_layers": 2, "pad_token_id": 1}
    size |= {"num_attention_heads": 4, "initializer_range": 0.2}
    model = AutoModelForCausalLM.from_config(config(**{**size, **changes}))
    return cast(PreTrainedModel, model.eval())


_NARROW = {"num_key_value_heads": 2, "intermediate_size": 64, "max_position_embeddings": 256}
_MAMBA = {"mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 16}


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(lambda: _small(GraniteConfig, **_NARROW, logits_scaling=8.0), id="granite"),
        pytest.param(lambda: _small(CohereConfig, **_NARROW, logit_scale=0.1), id="cohere"),
        pytest.param(
            lambda: _small(OPTConfig, word_embed_proj_dim=16, ffn_dim=64, init_std=0.2),
            id="opt-350m",
        ),
        pytest.param(lambda: _small(MistralConfig, **_NARROW, sliding_window=8), id="mistral"),
        pytest.param(lambda: _small(BloomConfig, n_head=4), id="bloom"),
        pytest.param(
            lambda: _small(Lfm2Config, **_NARROW, layer_types=["conv", "full_attention"]), id="lfm2"
        ),
        pytest.param(lambda: _small(MambaConfig), id="mamba"),
        pytest.param(
            lambda: _small(FalconH1Config, **_NARROW, **_MAMBA, lm_head_multiplier=0.1),
            id="falcon-h1",
        ),
    ],
)
def test_models_with_ways_of_their_own_are_scored_as_in_one_plain_pass(
    odd: Callable[[], PreTrainedModel], tokenizer: PreTrainedTokenizerFast
) -> None:
    model = odd()
    scores = _scorer(model, tokenizer).score(SENTENCES)
    for row, text in enumerate(SENTENCES):
        inner = tokenizer(text, add_special_tokens=False).input_ids[:12]
        with captured(transformer_blocks(model)[:1]) as outputs, torch.no_grad():
            logits = model(torch.tensor([[5, 6, 7, *inner, 9, 10]])).logits[0, -1]
        expected = logits[: len(tokenizer)].log_softmax(-1)[LABELS]
        np.testing.assert_allclose(scores.log_probabilities[row], expected, atol=1e-4)
        pooled = outputs[0][0, 3 : 3 + len(inner)].mean(0)
        np.testing.assert_allclose(scores.states[row, 0], pooled, atol=1e-4)


def test_a_window_of_all_layers_holds_for_labels_of_several_tokens(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    model = _small(MistralConfig, **_NARROW, sliding_window=8)
    scores = _scorer(model, tokenizer, labels=TRIE).score(SENTENCES)
    for row, text in enumerate(SENTENCES):
        inner = tokenizer(text, add_special_tokens=False).input_ids[:12]
        before = [5, 6, 7, *inner, 9, 10]
        for column, label in enumerate(TRIE):
            with torch.no_grad():
                logits = model(torch.tensor([[*before, *label]])).logits[0, len(before) - 1 : -1]
            said = logits[:, : len(tokenizer)].log_softmax(-1)[range(len(label)), label].sum()
            assert scores.log_probabilities[row, column] == pytest.approx(float(said), abs=1e-4)


@pytest.mark.parametrize(
    "config", [pytest.param((BloomConfig, {"n_head": 4}), id="bloom"), (MambaConfig, {})]
)
def test_models_that_cannot_branch_off_refuse_labels_of_several_tokens(
    config: tuple[type[PreTrainedConfig], dict[str, int]], tokenizer: PreTrainedTokenizerFast
) -> None:
    scorer = _scorer(_small(config[0], **config[1]), tokenizer, labels=TRIE)
    with pytest.raises(InputError, match="cannot go on with what it has read in several ways"):
        scorer.score(SENTENCES)


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


@pytest.mark.parametrize("before", [[], [5, 6, 7]])
def test_a_trie_of_labels_says_what_each_label_alone_says(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, before: list[int]
) -> None:
    scores = _scorer(model, tokenizer, labels=TRIE, before=before).score(SENTENCES)
    plain = _scorer(model, tokenizer, before=before).score(SENTENCES)
    np.testing.assert_array_equal(scores.decision, plain.decision)
    np.testing.assert_array_equal(scores.states, plain.states)
    for row, inner in enumerate(truncated(SENTENCES, tokenizer, 12)):
        start = [*before, *inner, 9, 10]
        for column, label in enumerate(TRIE):
            with torch.no_grad():
                said = (
                    model(torch.tensor([[*start, *label]]))
                    .logits[0, :, : len(tokenizer)]
                    .log_softmax(-1)
                )
            expected = sum(said[len(start) - 1 + place, token] for place, token in enumerate(label))
            assert scores.log_probabilities[row, column] == pytest.approx(float(expected), abs=1e-4)


def test_the_beginnings_of_labels_are_walked_once() -> None:
    assert branches([tuple(label) for label in TRIE]) == {
        (): [301, 55, 60, 302],
        (301,): [302, 40],
        (60,): [61],
        (302,): [301],
        (301, 40): [7, 9],
        (60, 61): [62],
        (60, 61, 62): [63],
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_order_company_and_batch_size_change_no_bit_of_a_trie(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, dtype: torch.dtype
) -> None:
    llama.to(dtype)
    texts = [f"{text} {number}" for number in range(2) for text in SENTENCES]
    found = set()
    for batch_size, count in itertools.product((1, 16), (1, 3, 10)):
        scorer = _scorer(llama, tokenizer, labels=TRIE, batch_size=batch_size)
        order = random.Random(count).sample(range(len(texts)), len(texts))
        said = np.empty((len(texts), len(TRIE)), np.float32)
        for start in range(0, len(order), count):
            rows = order[start : start + count]
            said[rows] = scorer.score([texts[row] for row in rows]).log_probabilities
        found.add(said.tobytes())
    assert len(found) == 1


def test_labels_need_room_too(llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    long = [[*range(20, 265)], [7]]
    with pytest.raises(InputError, match="no room for 12 of an article"):
        _scorer(llama, tokenizer, labels=long)


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
