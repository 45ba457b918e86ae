"""`akd plan`: light, exact, and one sentence where it cannot plan."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from akd.cli.app import app
from akd.errors import InputError
from akd.params import load
from akd.planning.inventory import measure
from akd.planning.lookup import inventories_of
from akd.planning.plan import (
    Work,
    card_for,
    make_plan,
    signal_needs,
    teacher_needs,
    trained_share,
)
from tests.conftest import ROOT, adapter_spec, tiny_model

WORK = Work(
    dtype="bfloat16",
    engine="transformers",
    articles=100,
    article_tokens=50,
    labels=3,
    read_states=2,
    kept_states=0,
    teacher_quantised=False,
    teacher_batch=4,
    student_batch=8,
    student_prompt="bare",
)


def _plan(*options: str) -> str:
    result = CliRunner().invoke(app, ["plan", *options], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_values_of_the_pair_of_the_paper() -> None:
    made = json.loads(_plan("--pair", "llama2", "--json"))
    assert made["teacher"]["parameters"] == 13_015_864_320
    assert made["teacher"]["weights"] == 26_031_728_640
    assert made["student_parameters"] == 6_738_415_616
    assert made["chosen"] == "adapter"
    full, qlora = made["methods"]["full"], made["methods"]["adapter_nf4"]
    assert full["fits_gpu_gib"] is None
    assert full["trainable_share"] == 1
    assert made["methods"]["adapter"]["trainable"] == qlora["trainable"] == 39_976_960 // 2
    packed = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    rest = (6_738_415_616 - packed) * 4
    assert qlora["weights"] - rest == pytest.approx(packed * 4.127 / 8, rel=1e-3)


def test_all_weights_are_not_planned_in_nf4() -> None:
    inventory = measure(tiny_model("llama").config)
    full = make_plan("p", inventory, inventory, WORK, adapter_spec(kind="full"), quantised=False)
    assert set(full.methods) == {"adapter", "full"}
    assert trained_share(full, "adapter") == 1
    some = make_plan("p", inventory, inventory, WORK, adapter_spec(), quantised=True)
    assert some.chosen in some.methods
    assert 0 < trained_share(some, some.chosen) < 0.2


def test_a_newcomer_reads_what_fits() -> None:
    text = " ".join(_plan("--pair", "gpt2", "--dtype", "float32").split())
    assert "124,439,808" in text
    assert "distill with params.yaml as it is (lora) needs" in text
    assert "fits a card of 8 GB" in text


def test_a_plan_needs_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; sys.argv = ['akd', 'plan', '--pair', 'llama2', '--json']\n"
        "from akd.cli.app import app\n"
        "app(standalone_mode=False)\n"
        "assert not {'torch', 'transformers', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_an_unknown_pair_is_refused() -> None:
    with pytest.raises(InputError, match="pair 'gpt5' is not one of gpt2, llama2, opt"):
        _plan("--pair", "gpt5")


def test_outside_a_project_a_plan_says_where_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="run from the root of the project"):
        _plan()
    shutil.copy(ROOT / "params.yaml", tmp_path)
    with pytest.raises(InputError, match=r"task\.yaml"):
        _plan()


def test_what_the_teacher_needs_is_counted_for_a_batch() -> None:
    inventory = measure(tiny_model("llama").config)
    needs = teacher_needs(inventory, WORK)
    assert needs.weights == 2 * inventory.parameters
    assert needs.cache == 2 * 3 * 16 * 2 * 4 * (50 + 512)
    served = WORK.__class__(**{**vars(WORK), "engine": "openai"})
    assert teacher_needs(inventory, served).total == 0
    assert signal_needs(inventory, served).output == signal_needs(inventory, WORK).output - 64


def test_a_teacher_in_nf4_and_states_that_are_kept_are_counted() -> None:
    teacher = inventories_of("llama2", load().pairs["llama2"], Path("none"), Path("none"))[0]
    plain = teacher_needs(teacher, WORK)
    packed = teacher_needs(teacher, replace(WORK, teacher_quantised=True))
    linear = 40 * (4 * 5120 * 5120 + 3 * 5120 * 13824)
    rest = 2 * (teacher.parameters - linear)
    assert packed.weights - rest == pytest.approx(linear * 4.127 / 8, rel=0.001)
    assert plain.weights - rest == 2 * linear
    more = signal_needs(teacher, replace(WORK, kept_states=2)).output
    assert more - signal_needs(teacher, WORK).output == 2 * 5120 * 2


def test_signals_are_about_as_large_as_the_ones_there_are() -> None:
    made = json.loads(_plan("--pair", "smollm2", "--json"))
    written = json.loads((ROOT / "metrics/teacher-label.json").read_text())
    assert made["signals"]["output"] == pytest.approx(written["bytes_per_document"], rel=0.1)


@pytest.mark.parametrize(("gib", "card"), [(1, 8), (7.9, 12), (22, 24), (23, 32), (90, None)])
def test_a_card_keeps_something_for_itself(gib: float, card: int | None) -> None:
    assert card_for(round(gib * 2**30)) == card
