"""Writing: greedy sentences and what was weighed, the same in any company."""

import itertools
import random

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from akd.errors import InputError
from akd.models.writing import SentenceWriter
from akd.records import Written
from tests.conftest import SENTENCES, make_wordy, tiny_model

BEFORE = [5, 6, 7]
AFTER = [[40], [41, 42], [40], [43], [44, 45]]
TOKENS, TOP, READ = 14, 6, 12
PARTS = ("top_tokens", "top_log_probabilities", "tail_mass", "lengths", "ended")


def _writer(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, **changes: int
) -> SentenceWriter:
    settings = {
        "longest_after": 2,
        "text_tokens": READ,
        "new_tokens": TOKENS,
        "top": TOP,
        "batch_size": 2,
    }
    return SentenceWriter(model, tokenizer, before=BEFORE, **{**settings, **changes})


def test_each_token_is_that_of_a_plain_pass_over_all_before_it(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    written = _writer(model, tokenizer).write(SENTENCES, AFTER)
    assert written.lengths.sum() > 2 * TOKENS
    for row, text in enumerate(SENTENCES):
        read = tokenizer(text, add_special_tokens=False).input_ids[:READ]
        so_far = [*BEFORE, *read, *AFTER[row]]
        for place in range(written.lengths[row]):
            with torch.no_grad():
                logits = model(torch.tensor([so_far])).logits[0, -1, : len(tokenizer)]
            p = logits.double().softmax(-1)
            tokens = written.top_tokens[row, place]
            said = written.top_log_probabilities[row, place]
            np.testing.assert_allclose(said, p[tokens].log(), atol=1e-4)
            np.testing.assert_allclose(said, p.topk(TOP).values.log(), atol=1e-4)
            rest = p.sum() - p[tokens].sum()
            np.testing.assert_allclose(written.tail_mass[row, place], rest, atol=1e-6)
            so_far.append(int(tokens[0]))
        assert not written.top_log_probabilities[row, written.lengths[row] :].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_order_company_and_batch_size_change_no_bit(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, dtype: torch.dtype
) -> None:
    make_wordy(llama, tokenizer)
    llama.to(dtype)
    texts = [f"{text} {number}" for number in range(2) for text in SENTENCES]
    after = [AFTER[place % 5] for place in range(len(texts))]
    found = set()
    for number, (batch_size, count) in enumerate(itertools.product((1, 20), (1, 4, 10))):
        writer = _writer(llama, tokenizer, batch_size=batch_size)
        order = random.Random(number).sample(range(len(texts)), len(texts))
        parts: dict[int, tuple[bytes, ...]] = {}
        for start in range(0, len(order), count):
            rows = order[start : start + count]
            said = writer.write([texts[row] for row in rows], [after[row] for row in rows])
            for place, row in enumerate(rows):
                parts[row] = tuple(getattr(said, name)[place].tobytes() for name in PARTS)
        found.add(tuple(parts[row] for row in range(len(texts))))
    assert len(found) == 1


def _scripted(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, script: str, *, stop: bool = False
) -> Written:
    """Let the model write these words, whatever it thinks."""
    tokens = tokenizer(script, add_special_tokens=False).input_ids
    tokens += [tokenizer.eos_token_id] if stop else []
    place = itertools.count()

    def say(_head: object, _inputs: object, logits: torch.Tensor) -> torch.Tensor:
        wanted = torch.tensor(tokens[min(next(place), len(tokens) - 1)])
        return logits + 1000.0 * torch.nn.functional.one_hot(wanted, logits.shape[-1])

    handle = model.get_output_embeddings().register_forward_hook(say)
    try:
        return _writer(model, tokenizer, new_tokens=30).write(SENTENCES[:1], AFTER[:1])
    finally:
        handle.remove()


@pytest.mark.parametrize(
    ("script", "stop", "kept", "ended"),
    [
        (" A fire burned. The town", False, " A fire burned.", True),
        (" A fire burned\nNews: The town", False, " A fire burned", True),
        (" A fire burned", True, " A fire burned", True),
        (" A fire burned.", True, " A fire burned.", True),
        (" 暴雨。救援", False, " 暴雨。", True),  # three tokens a character
        ("\nThe town", False, "", True),
        ("", True, "", True),
        (" rain" * 30, False, " rain" * 30, False),
    ],
)
def test_a_sentence_ends_with_its_stop_its_line_or_the_model(
    llama: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    script: str,
    stop: bool,
    kept: str,
    ended: bool,
) -> None:
    written = _scripted(llama, tokenizer, script, stop=stop)
    tokens = written.top_tokens[0, : written.lengths[0], 0].tolist()
    told = tokenizer.decode(tokens)
    assert (told if ended else kept[: len(told)]) == (kept if ended else told)
    assert (written.ended[0], len(tokens) == 30) == (ended, not ended)


def test_no_room_and_no_text(llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    assert _writer(llama, tokenizer).write([], []).top_tokens.shape == (0, TOKENS, TOP)
    with pytest.raises(InputError, match="no room for 12 of an article"):
        _writer(llama, tokenizer, new_tokens=240)


def test_padding_of_the_vocabulary_is_never_written(tokenizer: PreTrainedTokenizerFast) -> None:
    model = tiny_model("llama")
    head = model.get_output_embeddings().weight.data
    assert len(head) > len(tokenizer)
    head[len(tokenizer) :] *= 100
    written = _writer(model, tokenizer).write(SENTENCES, AFTER)
    assert written.top_tokens.max() < len(tokenizer)
