"""A phase of a student in NF4: it learns, and its packed weights stay as they are."""

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from akd.evaluate.predict import load_student, student_probabilities
from akd.models.load import load_model
from akd.specs.adapters import Quantization
from tests.conftest import adapter_spec, tiny_model
from tests.distill.tiny_phase import TEXTS, TRUTH, phase_of, run_tiny

NF4 = Quantization(kind="nf4")


@pytest.mark.parametrize("kind", ["lora", "series"])
def test_a_phase_on_packed_weights(
    kind: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    base = tmp_path / "base"
    tiny_model("llama", width=64).save_pretrained(base)  # of the blocks of 64 that NF4 packs
    tokenizer.save_pretrained(base)
    model, untouched = load_model(base, NF4), load_model(base, NF4)
    adapter = adapter_spec(kind=kind)
    result = run_tiny(tmp_path, tokenizer, "phase", phase_of(), model=model, adapter=adapter)
    assert result.curve["loss"][-1] < 0.5 * result.curve["loss"][0]
    kept = {n.replace(".base_layer", ""): w for n, w in model.named_parameters()}
    packed = [n for n, w in untouched.named_parameters() if type(w).__name__ == "Params4bit"]
    assert len(packed) == 3 * 7
    for name, weight in untouched.named_parameters():
        if name not in packed:  # float32 while a phase runs, also where models are bfloat16
            weight = weight.float()
        bits = [each.detach().view(torch.uint8) for each in (weight, kept[name])]
        assert torch.equal(*bits), name
    student = load_student(base, tmp_path / "phase", NF4)
    assert student_probabilities(student, TEXTS, 3).argmax(1).tolist() == TRUTH
