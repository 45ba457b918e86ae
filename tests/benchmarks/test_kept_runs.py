"""Runs that are kept: paired by seed and article, and an interval over both."""

import numpy as np
import pytest

from akd import params
from akd.evaluate.intervals import draw_rows, interval
from akd.params import Params
from benchmarks.kept_runs import differences, packed, unpacked
from benchmarks.repeated import over_runs_and_articles


@pytest.fixture
def settings() -> Params:
    """What ships."""
    return params.load()


def _right(share: float, seed: int, runs: int = 3, articles: int = 200) -> np.ndarray:
    return (np.random.default_rng(seed).random((runs, articles)) < share).astype(float)


def test_what_is_kept_comes_back() -> None:
    right = _right(0.7, seed=0, articles=203)
    np.testing.assert_array_equal(unpacked(packed(right), 203), right)


def test_one_run_has_the_interval_of_its_articles(settings: Params) -> None:
    right = _right(0.7, seed=0, runs=1)
    found = over_runs_and_articles(right, settings)
    draws = draw_rows(200, settings.evaluate.resamples, settings.seed)
    low, high = interval(
        lambda rows: float(right[0, rows].mean()), draws, settings.evaluate.confidence
    )
    assert (found["low"], found["high"]) == (round(low, 4), round(high, 4))


def test_runs_that_differ_widen_the_interval(settings: Params) -> None:
    alike = np.repeat(_right(0.7, seed=0, runs=1), 3, axis=0)
    apart = alike.copy()
    apart[0, :40], apart[2, :40] = 0.0, 1.0
    widths = [
        found["high"] - found["low"]
        for found in (over_runs_and_articles(rows, settings) for rows in (alike, apart))
    ]
    assert widths[1] > 1.3 * widths[0]


def test_runs_of_one_seed_are_compared(settings: Params) -> None:
    mine, other = _right(0.8, seed=1), _right(0.7, seed=2, runs=2)
    teacher = _right(0.6, seed=3, runs=1)
    found = differences({"akd": mine, "kd": other, "teacher": teacher}, "akd", settings)
    assert found["kd"]["runs"] == [
        round(float((mine[run] - other[run]).mean()), 4) for run in range(2)
    ]
    assert len(found["teacher"]["runs"]) == 3
    assert not differences({"kd": other}, "akd", settings)
