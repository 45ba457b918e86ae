"""TED in a phase: filters are learnt before it and with it, and nothing of them is shipped."""

from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors import safe_open
from transformers import PreTrainedTokenizerFast

from akd.distill.filtering import FilteredStudent, matched_layers, stage_one
from akd.distill.lessons import TeacherBlocks, read_teacher_blocks
from akd.distill.losses.filters import filtered_distance
from akd.distill.pupil import Pupil
from akd.errors import InputError
from akd.models import adapters
from akd.models.load import load_model
from akd.records import SIGNAL
from akd.specs.adapters import Quantization
from akd.teacher.folder import write_signals
from tests.conftest import adapter_spec, tiny_model
from tests.distill.tiny_phase import (
    LABELS,
    LORA,
    READING,
    TEXTS,
    TRUTH,
    blocks_of,
    lessons,
    phase_of,
    run_tiny,
    settings_of,
)

TED = phase_of(losses={"ted": 1.0}, epochs=10)
BOTH = phase_of(losses={"soft_cross_entropy": 1.0, "ted": 0.1}, epochs=10)


@pytest.mark.parametrize("readout", ["pooled", "label_words"])
@pytest.mark.parametrize("kind", ["lora", "full", "prompt"])
def test_the_filtered_states_come_nearer_and_no_filter_is_shipped(
    kind: str,
    readout: Literal["pooled", "label_words"],
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    curve = run_tiny(
        tmp_path,
        tokenizer,
        "phase",
        TED,
        settings=settings_of(readout=readout),
        blocks=blocks_of(),
        adapter=adapter_spec(kind=kind),
    ).curve
    assert curve["ted"][-2:].mean() < 0.7 * curve["ted"][:2].mean()
    run_tiny(tmp_path, tokenizer, "plain", phase_of(epochs=1), adapter=adapter_spec(kind=kind))
    shipped = []
    for name in ("phase", "plain"):
        with safe_open(tmp_path / name / "adapter_model.safetensors", "pt") as content:
            shipped.append(set(content.keys()))
    assert shipped[0] == shipped[1]


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_a_block_that_cannot_move_is_told(
    share: float,
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerFast,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first of three blocks, which follows the teacher's first."""
    adapter = adapter_spec(frozen_share=share)
    run_tiny(tmp_path, tokenizer, "phase", TED, blocks=blocks_of(), adapter=adapter)
    told = "block 1 of the student, which cannot move" in capsys.readouterr().err
    assert told == (share > 0)


def test_two_runs_have_equal_bytes(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    for name in ("one", "two"):
        run_tiny(tmp_path, tokenizer, name, BOTH, blocks=blocks_of())
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


@pytest.mark.parametrize("again", [False, True])
def test_the_student_is_read_once_a_step_and_checkpointing_changes_nothing(
    again: bool, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    passes: dict[str, int] = {}
    for name, phase in (("plain", phase_of(epochs=10)), ("ted", BOTH)):
        model = tiny_model("llama")
        block = model.model.layers[0]
        block.register_forward_hook(lambda *_, n=name: passes.update({n: passes.get(n, 0) + 1}))
        curve = run_tiny(
            tmp_path,
            tokenizer,
            f"{name}-{again}",
            phase,
            model=model,
            blocks=blocks_of(),
            optimizer={"gradient_checkpointing": again},
        ).curve
        assert all(len(block._forward_hooks) == 1 for block in model.model.layers[:1])
        assert not any(block._forward_hooks for block in model.model.layers[1:])
    assert passes["ted"] == passes["plain"] + 1, "one more: stage I reads the eight articles"
    assert curve["ted"][-1] < 0.7 * curve["ted"][0]


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_gradients_reach_adapter_and_student_filter_alone(
    quantization: Literal["none", "nf4"], tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    student, means = _filtered(tmp_path, tokenizer, quantization)
    tokens = torch.randint(2, 400, (8, 12))
    output = student(tokens, torch.full((8,), 12))
    filtered_distance(output.filtered, means).backward()
    reached = {name for name, weight in student.named_parameters() if weight.grad is not None}
    lora = {name for name, _ in student.named_parameters() if "lora" in name}
    below_last = {name for name in lora if "layers.0." in name or "layers.1." in name}
    assert below_last <= reached
    assert {name for name in reached if "lora" not in name} == {
        f"task_filter.filters.{layer}.{part}" for layer in (0, 1) for part in ("weight", "bias")
    }
    trained = {name for name, weight in student.named_parameters() if weight.requires_grad}
    assert not any("heads" in name for name in trained)
    assert means.grad_fn is None


def _filtered(
    folder: Path, tokenizer: PreTrainedTokenizerFast, quantization: Literal["none", "nf4"]
) -> tuple[FilteredStudent, torch.Tensor]:
    tiny_model("llama", width=64).save_pretrained(folder / "base")
    adapters.write_empty(folder / "student")
    model = load_model(folder / "base", Quantization(kind=quantization))
    adapted = adapters.attach(model, LORA, folder / "student", train=True)
    pupil = Pupil(adapted, tokenizer, READING, TEXTS)
    filters = stage_one(
        pupil,
        blocks_of(),
        torch.eye(3)[TRUTH],
        torch.arange(8),
        settings_of().losses.ted,
        temperature=1.0,
        batch_size=4,
        seed=0,
    )
    return filters.on(pupil, pupil.classifier()), filters.teacher


@pytest.mark.parametrize(
    ("layers", "depth", "student", "expected"),
    [([16, 28], 30, 8, [4, 7]), ([1, 4], 4, 3, [1, 3]), ([3], 4, 1, [1]), ([2, 3], 3, 6, [3, 6])],
)
def test_stored_blocks_are_followed_by_the_nearest_ones(
    layers: list[int], depth: int, student: int, expected: list[int]
) -> None:
    assert matched_layers(TeacherBlocks(torch.zeros(0), layers, depth), student) == expected


def test_signals_without_mean_states_are_refused_and_others_read(tmp_path: Path) -> None:
    _write_signals(tmp_path / "without", None)
    with pytest.raises(
        InputError, match=r"no mean states.*`dvc exp run -S 'label\.states=\[0\.53,0\.93\]'`"
    ):
        read_teacher_blocks(tmp_path / "without")
    stored = blocks_of()
    _write_signals(tmp_path / "with", stored)
    means, layers, depth = read_teacher_blocks(tmp_path / "with")
    assert torch.equal(means, stored.means)
    assert (layers, depth) == (stored.layers, stored.depth)


def _write_signals(folder: Path, blocks: TeacherBlocks | None) -> None:
    write_signals(
        folder,
        lessons().select(SIGNAL.names()),
        torch.zeros(8, 48, dtype=torch.float16),
        labels=LABELS,
        blocks=4,
        model="m" * 32,
        fingerprint="f" * 32,
        means=None if blocks is None else blocks[:2],
    )
