"""What a run costs: wall time, memory, and energy only where someone says how many watts."""

import pytest

from akd.errors import InputError
from akd.evaluate.resources import costs, machine_watts


def test_energy_is_watts_times_wall_time_and_named_an_estimate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AKD_WATTS", "65")
    report = costs({"evaluate": 120.0}, machine_watts())
    assert report["estimated_watt_hours"] == {"evaluate": pytest.approx(65 * 120 / 3600, abs=1e-6)}
    assert report["wall_seconds"] == {"evaluate": 120.0}
    assert 0.01 < report["peak_gib"] < 64


def test_without_watts_there_is_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AKD_WATTS", raising=False)
    assert set(costs({"evaluate": 120.0}, machine_watts())) == {"peak_gib", "wall_seconds"}


@pytest.mark.parametrize("text", ["", "many", "-5", "0", "nan", "inf"])
def test_watts_that_are_no_number_are_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("AKD_WATTS", text)
    with pytest.raises(InputError, match="AKD_WATTS is .*set it to the watts of this machine"):
        machine_watts()
