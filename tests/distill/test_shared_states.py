"""What one phase has kept of its frozen blocks the next ones read, and it changes no byte."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from akd.distill.frozen import FrozenCache
from akd.models.architecture import transformer_blocks
from tests.conftest import FAMILIES, adapter_spec, tiny_model
from tests.distill.tiny_phase import TEXTS, lessons, phase_of, run_tiny, settings_of

LORA = adapter_spec(r=8, alpha=16, frozen_share=0.7)  # two blocks of three


class Passes:
    """Counts how often a block computes."""

    def __init__(self, block: nn.Module) -> None:
        self.count = 0
        linear = next(module for module in block.modules() if not list(module.children()))
        linear.register_forward_hook(self._add)

    def _add(self, *_: object) -> None:
        self.count += 1


def _run(
    folder: Path,
    tokenizer: PreTrainedTokenizerFast,
    name: str,
    *,
    start: str = "student",
    family: str = "llama",
    seed: int = 0,
    texts: Sequence[str] = TEXTS,
    frozen_share: float = 0.7,
    limit_gib: float = 1.0,
) -> int:
    """Run a phase; return how often its second block computed."""
    model = tiny_model(family, seed=seed)
    passes = Passes(transformer_blocks(model)[1])
    run_tiny(
        folder,
        tokenizer,
        name,
        phase_of(epochs=3),
        start=start,
        model=model,
        settings=settings_of(own_share=0.5, difficulty="student_loss", frozen_cache_gib=limit_gib),
        table=lessons(texts, [n % 3 for n in range(len(texts))]),
        adapter=LORA.model_copy(update={"frozen_share": frozen_share}),
    )
    return passes.count


def _bytes(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_next_phase_computes_no_frozen_block_and_ends_in_the_same_bytes(
    family: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    assert _run(tmp_path, tokenizer, "phase-1", family=family) == 1
    assert _run(tmp_path, tokenizer, "phase-2", start="phase-1", family=family) == 0
    shutil.rmtree(tmp_path / "frozen")
    assert _run(tmp_path, tokenizer, "alone", start="phase-1", family=family) == 1
    assert _bytes(tmp_path / "phase-2") == _bytes(tmp_path / "alone")


def test_other_weights_articles_or_blocks_are_computed_and_take_the_place_of_the_first(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    assert _run(tmp_path, tokenizer, "first") == 1
    kept = list((tmp_path / "frozen").iterdir())
    assert _run(tmp_path, tokenizer, "again") == 0
    assert list((tmp_path / "frozen").iterdir()) == kept
    assert _run(tmp_path, tokenizer, "weights", seed=1) == 1
    assert _run(tmp_path, tokenizer, "articles", texts=[*TEXTS[:-1], "Something else."]) == 1
    assert _run(tmp_path, tokenizer, "blocks", frozen_share=0.4) > 1  # the second one learns
    assert len(list((tmp_path / "frozen").iterdir())) == 1
    assert _run(tmp_path, tokenizer, "first-again") == 1
    assert _bytes(tmp_path / "first") == _bytes(tmp_path / "first-again")


def test_half_of_what_was_kept_is_not_read(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    _run(tmp_path, tokenizer, "first")
    [kept] = (tmp_path / "frozen").iterdir()
    (kept / "places.json").unlink()
    assert _run(tmp_path, tokenizer, "again") == 1
    assert _bytes(tmp_path / "first") == _bytes(tmp_path / "again")
    assert _run(tmp_path, tokenizer, "once-more") == 0


def test_what_exceeds_the_limit_is_not_read_either(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    _run(tmp_path, tokenizer, "kept")
    assert _run(tmp_path, tokenizer, "phase", limit_gib=1e-6) > 1
    shutil.rmtree(tmp_path / "frozen")
    _run(tmp_path, tokenizer, "alone", limit_gib=1e-6)
    assert _bytes(tmp_path / "phase") == _bytes(tmp_path / "alone")


def test_what_is_kept_for_others_lies_on_the_disk_once(
    tmp_path: Path, llama: PreTrainedModel
) -> None:
    cache = FrozenCache(transformer_blocks(llama), 2, tmp_path, float("inf"))
    cache.share(llama, [[3, 4]], tmp_path / "frozen")
    read = cache.beneath(lambda tokens, _: llama.base_model(tokens).last_hidden_state)
    with torch.inference_mode():
        read(torch.tensor([[3, 4]]), torch.tensor([2]))
    cache.seal()
    [kept] = (tmp_path / "frozen").iterdir()
    assert cache._kept._file.name == str(kept / "states.bin")
