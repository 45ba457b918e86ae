"""Where and how a teacher is held: in 4 bits, on one device or several."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from akd.errors import InputError
from akd.models.load import check_placed
from akd.specs.engines import TransformersEngine
from akd.teacher.engine import OpenEngine, open_engine
from tests.conftest import PROMPT, SENTENCES, tiny_model

ALIKE = PROMPT.model_copy(update={"words": ("zz1", "zz2", "good")})
PARTS = ("log_probabilities", "decision", "states")


@pytest.fixture
def teacher_folder(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A tiny LLaMA as wide as one block of NF4, which is the least that is multiplied on a CPU."""
    folder = tmp_path / "teacher"
    tiny_model("llama", width=64).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("AKD_DTYPE", "float32")
    monkeypatch.delenv("AKD_DEVICE_MAP", raising=False)


def _open(folder: Path, quantization: str, batch_size: int = 2) -> OpenEngine:
    spec = TransformersEngine.model_validate({"kind": "transformers", "quantization": quantization})
    return open_engine(spec, folder, text_tokens=12, batch_size=batch_size)


def test_a_teacher_in_4_bits_is_nearly_the_same_under_a_name_of_its_own(
    teacher_folder: Path, tmp_path: Path
) -> None:
    whole, small = _open(teacher_folder, "none"), _open(teacher_folder, "nf4")
    assert small.model is not None
    assert small.model.is_loaded_in_4bit
    said = [engine.score(PROMPT, SENTENCES, [1]) for engine in (whole, small)]
    gap = np.abs(said[0].states - said[1].states)  # after one block: 4 bits are few for noise
    assert 0.01 < gap.mean() / np.abs(said[0].states).mean() < 0.25
    stores = [engine.store(PROMPT, [1]).fingerprint for engine in (whole, small)]
    assert stores[0] != stores[1]
    told = json.loads((tmp_path / ".akd" / stores[1] / "manifest.json").read_text())
    assert told["quantization"] == "nf4"
    assert told["bitsandbytes"]


@pytest.mark.parametrize("prompt", [PROMPT, ALIKE], ids=["first tokens", "trie"])
def test_in_4_bits_order_and_batch_size_change_no_bit(teacher_folder: Path, prompt: object) -> None:
    found = set()
    for batch_size, order in itertools.product((1, 3, 8), (slice(None), slice(None, None, -1))):
        engine = _open(teacher_folder, "nf4", batch_size)
        scores = engine.score(prompt, SENTENCES[order], [1])  # type: ignore[arg-type]
        found.add(tuple(getattr(scores, name)[order].tobytes() for name in PARTS))
    assert len(found) == 1


def test_layers_may_be_spread_over_what_devices_there_are(
    teacher_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = _open(teacher_folder, "none").score(ALIKE, SENTENCES, [1, 3])
    monkeypatch.setenv("AKD_DEVICE_MAP", "auto")
    spread = _open(teacher_folder, "none").score(ALIKE, SENTENCES, [1, 3])
    np.testing.assert_allclose(spread.log_probabilities, single.log_probabilities, atol=1e-4)
    np.testing.assert_allclose(spread.states, single.states, atol=1e-4)
    monkeypatch.setenv("AKD_DEVICE_MAP", "both")
    with pytest.raises(InputError, match="AKD_DEVICE_MAP is 'both': set it to single or auto"):
        _open(teacher_folder, "none")


def test_a_teacher_that_does_not_fit_is_refused() -> None:
    check_placed(tiny_model("llama"))
    with pytest.raises(InputError, match="does not fit onto the GPUs of this machine"):
        check_placed(tiny_model("llama").to("meta"))
