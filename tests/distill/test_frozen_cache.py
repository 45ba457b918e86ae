"""What the frozen blocks make of an article is computed once, and it is what they would compute."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BloomConfig, BloomForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from akd.distill.frozen_cache import CachedStudent, FrozenCache
from akd.distill.phase import PhaseResult
from akd.distill.pupil import Pupil
from akd.models import adapters
from akd.models.architecture import transformer_blocks
from tests.conftest import FAMILIES, adapter_spec, tiny_model
from tests.distill.tiny_phase import (
    READING,
    TEXTS,
    TRUTH,
    blocks_of,
    phase_of,
    predict,
    run_tiny,
    settings_of,
)

LORA = adapter_spec(r=8, alpha=16, frozen_share=0.7)  # two blocks of three


def _model(family: str) -> PreTrainedModel:
    if family != "bloom":
        return tiny_model(family)
    torch.manual_seed(0)
    return BloomForCausalLM(BloomConfig(vocab_size=512, hidden_size=32, n_layer=3, n_head=4)).eval()


def _pupil(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path, limit_gib: float
) -> Pupil:
    cache = FrozenCache(transformer_blocks(model), 2, folder, limit_gib)
    adapters.write_empty(folder)
    adapted = adapters.attach(model, LORA, folder, train=True)
    return Pupil(adapted, tokenizer, READING, TEXTS, cache)


def _counted(block: nn.Module) -> list[int]:
    """Return a list that grows by one whenever the block computes."""
    passes: list[int] = []
    linear = next(module for module in block.modules() if not list(module.children()))
    linear.register_forward_hook(lambda *_: passes.append(1))
    return passes


@pytest.mark.parametrize("family", [*FAMILIES, "bloom"])
def test_what_is_read_back_is_what_the_blocks_would_compute(
    family: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = _model(family)
    pupil = _pupil(model, tokenizer, tmp_path, 1.0)
    computed = pupil.features()
    passes = _counted(transformer_blocks(model)[1])
    np.testing.assert_allclose(pupil.features(), computed, atol=1e-5)
    assert not passes
    pupil.cache = None
    np.testing.assert_array_equal(pupil.features(), computed)
    assert passes


def test_a_batch_learns_the_same_above_kept_states(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, llama: PreTrainedModel
) -> None:
    pupil = _pupil(llama, tokenizer, tmp_path, 1.0)
    pupil.fit_reading(np.eye(3)[TRUTH])
    tokens, lengths = torch.full((2, 40), pupil.pad_token), torch.tensor([0, 0])
    for row in range(2):
        lengths[row] = len(pupil.sequences[row])
        tokens[row, : lengths[row]] = torch.tensor(pupil.sequences[row])
    gradients, found = [], []
    assert pupil.cache is not None
    for student in (pupil.classifier(), CachedStudent(pupil.classifier(), pupil.cache)):
        pupil.language_model.zero_grad()
        output = student.train()(tokens, lengths)
        nn.functional.cross_entropy(output.logits, torch.tensor(TRUTH[:2])).backward()
        found.append(output.logits.detach())
        trained = (weight.grad for weight in pupil.language_model.parameters())
        gradients.append([grad.clone() for grad in trained if grad is not None])
    torch.testing.assert_close(found[1], found[0])
    assert any(grad.abs().max() > 0 for grad in gradients[0])
    torch.testing.assert_close(gradients[1], gradients[0])


def test_states_that_exceed_the_limit_are_computed_again(
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerFast,
    llama: PreTrainedModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pupil = _pupil(llama, tokenizer, tmp_path, 2e-6)
    computed = pupil.features()
    assert "distill.frozen_cache_gib" in capsys.readouterr().err
    passes = _counted(transformer_blocks(llama)[1])
    np.testing.assert_array_equal(pupil.features(), computed)
    assert passes


@pytest.mark.parametrize("own_share", [0.0, 0.5])
def test_a_phase_learns_the_same_with_less_work(
    own_share: float, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    passes, found = [], []

    def run(name: str, gib: float) -> PhaseResult:
        model = tiny_model("llama")
        passes.append(_counted(transformer_blocks(model)[1]))
        return run_tiny(
            tmp_path,
            tokenizer,
            name,
            phase_of(epochs=5),
            model=model,
            settings=settings_of("ddk", own_share=own_share, frozen_cache_gib=gib),
            adapter=LORA,
        )

    curves = [run(name, gib).curve["loss"].to_numpy() for name, gib in (("off", 0), ("on", 1))]
    np.testing.assert_allclose(curves[1], curves[0], atol=1e-4)
    found = [predict(tmp_path, tokenizer, name) for name in ("off", "on")]
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
    assert len(passes[1]) == 1, "all articles are read in one batch, before the phase learns"
    assert len(passes[0]) > 10


@pytest.mark.parametrize(
    ("extra", "checkpointing", "kept"),
    [("next_token", False, True), ("next_token", True, False), ("ted", False, False)],
)
def test_what_needs_more_than_the_last_states_has_the_blocks_compute(
    extra: str, checkpointing: bool, kept: bool, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = tiny_model("llama")
    passes = _counted(transformer_blocks(model)[1])
    run_tiny(
        tmp_path,
        tokenizer,
        "phase",
        phase_of(epochs=2, losses={"soft_cross_entropy": 1.0, extra: 0.1}),
        model=model,
        blocks=blocks_of(),
        adapter=LORA,
        optimizer={"gradient_checkpointing": checkpointing},
    )
    assert (len(passes) == 1) is kept
