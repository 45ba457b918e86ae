"""What the frozen blocks make of an article is computed once, and it is what they would compute."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BloomConfig, BloomForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from akd.distill.curriculum import goal_of
from akd.distill.frozen import FrozenCache, Learner
from akd.distill.kept_states import KeptStates
from akd.distill.phase import PhaseResult
from akd.distill.pupil import Pupil
from akd.errors import InputError
from akd.models import adapters
from akd.models.architecture import transformer_blocks
from tests.conftest import FAMILIES, adapter_spec, tiny_model
from tests.distill.tiny_phase import (
    READING,
    TEXTS,
    TRUTH,
    blocks_of,
    lessons,
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


def _computes_again(pupil: Pupil, features: np.ndarray) -> bool:
    """Tell whether the frozen blocks compute, and see that they find the same features."""
    passes = _counted(pupil.blocks([2])[0])
    np.testing.assert_array_equal(pupil.features(), features)
    return bool(passes)


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
    assert _computes_again(pupil, computed)


def test_a_batch_learns_the_same_above_kept_states(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, llama: PreTrainedModel
) -> None:
    pupil = _pupil(llama, tokenizer, tmp_path, 1.0)
    pupil.fit_reading(goal_of(lessons(), np.arange(8), None, 1.0))
    tokens, lengths = torch.full((2, 40), pupil.pad_token), torch.tensor([0, 0])
    for row in range(2):
        lengths[row] = len(pupil.sequences[row])
        tokens[row, : lengths[row]] = torch.tensor(pupil.sequences[row])
    gradients, found = [], []
    for cache in (None, pupil.cache):
        student = Learner(pupil.classifier(), pupil.blocks([3]), cache)
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
    assert _computes_again(pupil, computed)


def test_a_model_that_needs_more_from_below_computes_it(
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerFast,
    llama: PreTrainedModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lowest, _, highest = transformer_blocks(llama)
    seen: list[torch.Tensor] = []
    lowest.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    highest.register_forward_pre_hook(lambda _module, inputs: (inputs[0] + seen[-1], *inputs[1:]))
    pupil = _pupil(llama, tokenizer, tmp_path, 1.0)
    computed = pupil.features()
    assert "what stands above them needs more (AssertionError)" in capsys.readouterr().err
    assert _computes_again(pupil, computed)


def test_a_full_disk_is_one_sentence(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, llama: PreTrainedModel
) -> None:
    pupil = _pupil(llama, tokenizer, tmp_path, 1.0)
    assert pupil.cache is not None
    with open("/dev/full", "wb", buffering=0) as full:
        pupil.cache._kept = KeptStates(full, {})
        with pytest.raises(InputError, match=r"\(No space left on device\): lower distill.frozen"):
            pupil.features()


def test_what_is_sealed_takes_up_nothing(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, llama: PreTrainedModel
) -> None:
    pupil = _pupil(llama, tokenizer, tmp_path, 1.0)
    assert pupil.cache is not None
    pupil.cache.seal()
    passes = _counted(transformer_blocks(llama)[1])
    np.testing.assert_array_equal(pupil.features(), pupil.features())
    assert len(passes) == 2


def test_an_adapter_of_blocks_that_are_frozen_now_is_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    everywhere = LORA.model_copy(update={"frozen_share": 0.0})
    run_tiny(tmp_path, tokenizer, "phase-1", phase_of(epochs=1), adapter=everywhere)
    with pytest.raises(InputError, match="phase-1 holds an adapter of blocks that adapter.frozen_"):
        run_tiny(tmp_path, tokenizer, "phase-2", phase_of(epochs=1), start="phase-1", adapter=LORA)


@pytest.mark.parametrize("family", ["llama", "opt"])  # the one has no dropout, the other has
@pytest.mark.parametrize("own_share", [0.0, 0.5])
def test_a_phase_learns_the_same_with_less_work(
    own_share: float, family: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    passes, found = [], []

    def run(name: str, gib: float) -> PhaseResult:
        model = tiny_model(family)
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
    found = [predict(tmp_path, tokenizer, name, family) for name in ("off", "on")]
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
    assert len(passes[1]) == 1, "all articles are read in one batch, before the phase learns"
    assert len(passes[0]) > 10


@pytest.mark.parametrize(
    ("extra", "checkpointing", "kept"),
    [("next_token", False, True), ("next_token", True, True), ("ted", False, False)],
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
