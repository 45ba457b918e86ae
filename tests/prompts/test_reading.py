"""How a student is asked: as its teacher is, or without all that only costs it tokens."""

from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerFast

from akd.prompts import store
from akd.prompts.calibration import Calibrator
from akd.prompts.reading import reading_of
from akd.prompts.template import Demonstration, render_text
from tests.conftest import PROMPT

TOLD = "Each text is about one of {labels}."
SHOWN = Demonstration(shot="n0", text="A storm is near.", label=1)


def test_bare_drops_instruction_and_shots_and_same_keeps_them(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    prompt = PROMPT.model_copy(update={"instruction": TOLD, "demonstrations": (SHOWN,)})
    adapted = store.AdaptedPrompt(
        prompt, Calibrator(np.zeros(3), 1.0, [], 1.0, np.zeros(3)), [], ["x", "y", "z"]
    )
    store.save(adapted, tmp_path / "prompt")
    same = reading_of(tmp_path / "prompt", "same", 12)
    bare = reading_of(tmp_path / "prompt", "bare", 12)
    assert same.prompt == prompt
    assert (bare.prompt.instruction, bare.prompt.demonstrations) == ("", ())
    assert (bare.prompt.cue, bare.prompt.words) == (prompt.cue, prompt.words)
    shown = [render_text(reading.prompt)[0] for reading in (same, bare)]
    assert ["A storm is near." in text for text in shown] == [True, False]
    tokens = [reading.encode(["A fire."], tokenizer)[0] for reading in (same, bare)]
    assert len(tokens[0]) > len(tokens[1])
    assert list(bare.labels) == ["x", "y", "z"]
