"""docs/table3.md is what the code writes, and its verdicts are those of the arithmetic."""

from pathlib import Path

import pytest

from benchmarks.table3 import follows, write_page
from tests.conftest import ROOT


def test_the_page_is_what_the_code_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    write_page(tmp_path / "table3.md")
    assert (tmp_path / "table3.md").read_text() == (ROOT / "docs/table3.md").read_text()


@pytest.mark.parametrize(
    ("printed", "value", "verdict"),
    [
        ("84", 84.0, "yes"),
        ("84", 83.4, "no"),
        ("1.48", 1.488, "yes, cut off"),
        ("0.85", 0.792, "no"),
        ("95.24", 95.2381, "yes"),
        ("99.43", 99.5, "no"),
    ],
)
def test_a_figure_follows_from_a_value_that_rounds_to_it(
    printed: str, value: float, verdict: str
) -> None:
    assert follows(printed, value) == verdict
