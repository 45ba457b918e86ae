"""A pin: written into params.yaml by hand or by a command, and read back as a prompt."""

from pathlib import Path

import pytest
import yaml

from akd import params
from akd.errors import InputError
from akd.prompts.pin import changed, pinned_prompt, read_pin, write_pins
from tests.conftest import ROOT
from tests.prompts.oracle import PIN, SHOTS


def test_a_hand_written_prompt_takes_the_rest_from_another(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("instruction: Say {labels}.\nwords: ['no', 'yes']\n")
    mine = read_pin(file, PIN)
    assert mine == PIN.model_copy(update={"instruction": "Say {labels}.", "words": ["no", "yes"]})
    for content, told in (
        ("a: [", "not YAML"),
        ("[1]", "no mapping"),
        ("words: [no, yes]", r"words\.0: Input should be a valid string"),  # YAML's truth values
        ("instruktion: x", "instruktion: Extra inputs .*: the parts are chat, system"),
    ):
        file.write_text(content)
        with pytest.raises(InputError, match=told):
            read_pin(file, PIN)
    with pytest.raises(InputError, match="does not exist"):
        read_pin(tmp_path / "none.yaml", PIN)
    with pytest.raises(InputError, match="--words: words: List should have at least 2"):
        changed(PIN, {"words": ["x"]}, "--words")


@pytest.mark.parametrize("layout", ["as shipped", "block"])
def test_pins_are_written_into_params_and_taken_out_again(tmp_path: Path, layout: str) -> None:
    """Only that one value changes, however the file is laid out."""
    file = tmp_path / "params.yaml"
    shipped = (ROOT / "params.yaml").read_text()
    if layout == "block":
        raw = yaml.safe_load(shipped)
        raw["prompt"]["pins"] = {"mine": PIN.model_dump(mode="json")}
        shipped = yaml.safe_dump(raw, sort_keys=False, default_flow_style=False)
    file.write_text(shipped)
    before = params.load(file)
    multiline = PIN.model_copy(update={"instruction": 'One: "x"\n{labels} — # 灾'})
    write_pins(file, {"crisis": multiline})
    assert params.load(file).prompt.pins == {"crisis": multiline}
    write_pins(file, before.prompt.pins)
    assert params.load(file) == before
    if layout == "as shipped":
        assert file.read_text() == shipped


def test_pins_need_their_place_in_params(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("prompt: {beam: 2}\n")
    with pytest.raises(InputError, match="has no `prompt.pins`"):
        write_pins(file, {})


def test_a_pin_shows_the_same_shots_whichever_others_there_are() -> None:
    shown = pinned_prompt(PIN, SHOTS, 2, 240).demonstrations
    assert pinned_prompt(PIN, SHOTS[:4][::-1], 2, 240).demonstrations == shown
    assert [one.shot for one in shown] == PIN.shots


def test_pinning_keeps_the_ends_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"seed: 1\r\nprompt:\r\n  pins: {}  # none\r\n  shots: 3\r\n")
    write_pins(path, {"crisis": PIN})
    assert b"\n" not in path.read_bytes().replace(b"\r\n", b"")
    write_pins(path, {})
    assert path.read_bytes().endswith(b"  # none\r\n  shots: 3\r\n")
