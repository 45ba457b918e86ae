"""Calibration: what each kind does to scores whose truth is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from akd.errors import InputError
from akd.prompts import store
from akd.prompts.calibration import (
    class_log_probabilities,
    expected,
    fit,
    prior_texts,
    select,
)
from akd.records import Scores
from akd.specs.prompts import Calibration
from tests.conftest import PROMPT

GRID = {
    "articles": 60,
    "layers": [0.5, 1.0],
    "strengths": [0.01, 0.1],
    "weights": [0.0, 1.0],
    "temperature": 0.5,
    "shares": {},
}
NONE, BATCH, PROBE, AUTO = (
    Calibration.model_validate({"kind": kind, **GRID})
    for kind in ("none", "batch", "shots_probe", "auto")
)


def _scores(labels: np.ndarray, *, says: float, knows: float, seed: int) -> Scores:
    """Scores whose prompt and whose second block tell the label as clearly as asked."""
    draw = np.random.default_rng(seed)
    classes = 3
    said = draw.normal(size=(len(labels), classes)) + [4.0, 0.0, 0.0]  # a bias to the first label
    said[np.arange(len(labels)), labels] += says
    states = draw.normal(size=(len(labels), 2, 16))
    states[:, 1, :classes] += knows * np.eye(classes)[labels]
    log_p = said - np.log(np.exp(said).sum(1, keepdims=True)) - 1.0  # the rest is other mass
    empty = np.zeros((len(labels), 16))
    return Scores(*(array.astype(np.float32) for array in (log_p, empty, states)))


TRUTH = np.arange(90) % 3
SHOTS = np.arange(18) % 3


def _accuracy(spec: object, *, says: float, knows: float) -> float:
    free = _scores(TRUTH, says=says, knows=knows, seed=1)
    shots = _scores(SHOTS, says=says, knows=knows, seed=2)
    test = _scores(TRUTH, says=says, knows=knows, seed=3)
    found = fit(spec, free, shots, SHOTS.tolist()).probabilities(test)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.sum(1), 1.0)
    return float((found.argmax(1) == TRUTH).mean())


@pytest.mark.parametrize("kind", ["batch", "shots_probe", "auto"])
def test_known_shares_weigh_the_labels(kind: str) -> None:
    """As Bayes says, where without them all labels count alike."""
    shares = {"a": 0.7, "b": 0.2, "c": 0.1}
    spec = Calibration.model_validate({"kind": kind, **GRID, "shares": shares})
    scores = _scores(TRUTH, says=1.0, knows=1.0, seed=1)
    alike = fit(spec, scores, select(scores, range(18)), SHOTS.tolist())
    assert expected(spec, ["b", "a", "c"]).tolist() == np.log([0.2, 0.7, 0.1]).tolist()
    known = replace(alike, share=expected(spec, list(shares)))
    weighed = alike.probabilities(scores) * list(shares.values())
    wanted = weighed / weighed.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(known.probabilities(scores), wanted, rtol=1e-9)
    assert expected(BATCH, ["b", "a", "c"]).tolist() == [0.0, 0.0, 0.0]


def test_shares_that_are_none_of_this_task_or_of_no_whole_are_refused() -> None:
    def spec(kind: str, shares: dict[str, float]) -> Calibration:
        return Calibration.model_validate({"kind": kind, **GRID, "shares": shares})

    with pytest.raises(InputError, match=r"shares names a, b, and the labels of the task are a, c"):
        expected(spec("batch", {"a": 0.5, "b": 0.5}), ["a", "c"])
    with pytest.raises(ValueError, match=r"shares add up to 0.9, not to 1"):
        spec("batch", {"a": 0.4, "b": 0.5})
    with pytest.raises(ValueError, match="shares needs a calibration"):
        spec("none", {"a": 0.5, "b": 0.5})


def test_batch_calibration_takes_out_the_bias() -> None:
    raw = _accuracy(NONE, says=3.0, knows=0.0)
    batch = _accuracy(BATCH, says=3.0, knows=0.0)
    assert raw < 0.6
    assert batch > 0.85


@pytest.mark.parametrize(
    ("kind", "texts"), [("contextual", ["N/A", "[MASK]", ""]), ("pmi_dc", [""])]
)
def test_texts_without_content_tell_the_bias_too(kind: str, texts: list[str]) -> None:
    spec = Calibration.model_validate({"kind": kind, **GRID})
    assert [*prior_texts(spec, ["an article"])] == texts
    assert prior_texts(BATCH, ["an article"]) == ["an article"]
    bias = np.log([0.9, 0.05, 0.05]).astype(np.float32)
    empty = np.zeros((len(texts), 16), np.float32)
    said = Scores(np.tile(bias, (len(texts), 1)), empty, empty[:, None])
    scores = _scores(TRUTH, says=3.0, knows=0.0, seed=5)
    nothing = select(scores, [])
    found, raw = (fit(s, said, nothing, []).probabilities(scores) for s in (spec, NONE))
    assert (found.argmax(1) == TRUTH).mean() > (raw.argmax(1) == TRUTH).mean() + 0.2


def test_a_probe_finds_what_the_prompt_does_not_say() -> None:
    assert _accuracy(BATCH, says=0.0, knows=6.0) < 0.5
    assert _accuracy(PROBE, says=0.0, knows=6.0) > 0.75


def test_auto_takes_whichever_knows() -> None:
    assert _accuracy(AUTO, says=0.0, knows=6.0) > 0.75
    assert _accuracy(AUTO, says=5.0, knows=0.0) > 0.9


def test_auto_weighs_the_prompt_and_the_probes_by_what_they_know() -> None:
    weights = {}
    for says, knows in ((8.0, 0.0), (0.0, 6.0)):
        free, shots = (
            _scores(truth, says=says, knows=knows, seed=seed)
            for truth, seed in ((TRUTH, 1), (SHOTS, 2))
        )
        found = fit(AUTO, free, shots, SHOTS.tolist())
        weights[says > 0] = (found.prompt_weight, sum(probe.weight for probe in found.probes))
    assert weights[True][0] > 0.9
    assert weights[True][1] < 0.6
    assert weights[False][1] > 0.9


def test_no_calibration_is_the_prompt() -> None:
    scores = _scores(TRUTH, says=1.0, knows=0.0, seed=1)
    found = fit(NONE, scores, select(scores, []), []).probabilities(scores)
    np.testing.assert_allclose(found, np.exp(class_log_probabilities(scores)), rtol=1e-6)


def test_a_probe_needs_two_shots_of_each_class() -> None:
    shots = _scores(np.array([0, 0, 1, 1, 2]), says=0.0, knows=1.0, seed=1)
    with pytest.raises(InputError, match="smallest of 3 classes has 1 of the 5 shots"):
        fit(PROBE, shots, shots, [0, 0, 1, 1, 2])


def test_two_classes_have_two_rows() -> None:
    scores = _scores(TRUTH % 2, says=0.0, knows=6.0, seed=1)
    two = Scores(scores.log_probabilities[:, :2], scores.decision, scores.states)
    found = fit(PROBE, two, select(two, range(18)), (TRUTH % 2)[:18].tolist())
    accuracy = (found.probabilities(two).argmax(1) == TRUTH % 2).mean()
    assert accuracy > 0.8


def test_an_adapted_prompt_comes_back(tmp_path: Path) -> None:
    scores = _scores(TRUTH, says=1.0, knows=4.0, seed=1)
    fitted = fit(AUTO, scores, select(scores, range(18)), TRUTH[:18].tolist())
    calibrator = replace(fitted, share=np.log([0.5, 0.3, 0.2]))
    for name in ("one", "two"):
        store.save(
            store.AdaptedPrompt(PROMPT, calibrator, [4, 9], ["x", "y", "z"]), tmp_path / name
        )
    again = store.load(tmp_path / "one")
    assert again.prompt == PROMPT
    np.testing.assert_array_equal(
        again.calibrator.probabilities(scores), calibrator.probabilities(scores)
    )
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
