"""Labelling: from scores to signals."""

import numpy as np
import pytest
import torch

from akd.prompts.calibration import Calibrator
from akd.records import SIGNAL, Scores
from akd.teacher.label import signals


def test_signals_hold_mass_entropy_margin_and_label() -> None:
    p = np.array([[0.5, 0.2, 0.1], [0.01, 0.01, 0.08]], dtype=np.float32)
    empty = np.zeros((2, 4), np.float32)
    scores = Scores(np.log(p), empty, np.zeros((2, 0, 4), np.float32))
    frame, hidden = signals(
        ["a", "b"], scores, Calibrator(np.zeros(3), 1.0, [], 1.0, np.zeros(3)), ["x", "y", "z"]
    )
    assert frame.schema == SIGNAL
    assert frame["label"].to_list() == ["x", "z"]
    np.testing.assert_allclose(frame["other_mass"], [0.2, 0.9], atol=1e-6)
    np.testing.assert_allclose(frame["margin"], [0.375, 0.7], atol=1e-6)
    q = np.array([0.625, 0.25, 0.125])
    assert frame["entropy"][0] == pytest.approx(-(q * np.log(q)).sum(), abs=1e-6)
    assert (hidden.shape, hidden.dtype) == ((2, 4), torch.float16)
