"""The folder of signals: what it holds is told, and whatever is wrong with it is named."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

from akd import io
from akd.cli.app import app
from akd.errors import InputError
from akd.io import write_table, write_tensors
from akd.prompts.calibration import Calibrator
from akd.records import RATIONALE, SIGNAL, Scores
from akd.teacher.folder import (
    describe,
    read_hidden,
    read_mean_states,
    read_rationales,
    write_signals,
)
from akd.teacher.label import half, signals

LABELS = ["x", "y", "z"]
ROWS = 5


REASONS = pl.DataFrame(
    [
        {
            "id": key,
            "text": "A storm.",
            "tokens": [5, 6],
            "top_tokens": [[5, 9], [6, 8]],
            "top_log_probabilities": [np.log([0.5, 0.25]).tolist(), np.log([0.75, 0.2]).tolist()],
            "tail_mass": [0.25, 0.05],
        }
        for key in ("n1", "n4")
    ],
    schema=RATIONALE,
)


def _write(
    folder: Path,
    width: int = 4,
    layers: Sequence[int] = (),
    rationales: pl.DataFrame | None = None,
) -> None:
    p = np.random.default_rng(0).dirichlet([1.0] * 4, ROWS)[:, :3].astype(np.float32)
    hidden = np.arange(ROWS * width, dtype=np.float32).reshape(ROWS, width)
    scores = Scores(np.log(p), hidden, np.zeros((ROWS, 0, width), np.float32))
    ids = [f"n{number}" for number in range(ROWS)]
    frame, states = signals(ids, scores, Calibrator(np.zeros(3), 1.0, [], 1.0, np.zeros(3)), LABELS)
    means = half(np.arange(ROWS * len(layers) * width, dtype=np.float32))
    write_signals(
        folder,
        frame,
        states,
        labels=LABELS,
        blocks=8,
        model="m" * 32,
        fingerprint="f" * 32,
        means=(means.reshape(ROWS, len(layers), width), list(layers)) if layers else None,
        rationales=rationales,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five rows in shards of two."""
    monkeypatch.setattr(io, "ROWS_PER_SHARD", 2)
    _write(tmp_path / "signals")
    return tmp_path / "signals"


def _verify(folder: Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["signals", str(folder), "--verify"])
    return done.exit_code, done.stderr


def test_few_files_that_are_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.*"))]
    parts = [f"part-0000{number}" for number in range(3)]
    assert names == [
        *(f"hidden/{part}.safetensors" for part in parts),
        "manifest.json",
        *(f"scores/{part}.parquet" for part in parts),
    ]
    _write(tmp_path / "again")
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert set(io.read_tensors(folder / names[0])) == {"decision"}
    assert read_hidden(folder).tolist() == np.arange(20).reshape(5, 4).tolist()
    with pytest.raises(InputError, match="no mean states: name depths in `label.states`"):
        read_mean_states(folder)


def test_mean_states_are_kept_where_they_are_asked_for(folder: Path, tmp_path: Path) -> None:
    _write(tmp_path / "s", layers=[2, 7])
    means, layers = read_mean_states(tmp_path / "s")
    assert (means.shape, means.dtype, layers) == ((5, 2, 4), torch.float16, [2, 7])
    assert means.flatten().tolist() == list(range(40))
    assert torch.equal(read_hidden(tmp_path / "s"), read_hidden(folder))
    assert _verify(tmp_path / "s") == (0, "")
    _manifest(tmp_path / "s", layers=[2])
    assert "part-00000.safetensors has other states" in _verify(tmp_path / "s")[1]


def test_reasons_are_read_again_and_verified(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no reasons: set `label\.rationales\.share`"):
        read_rationales(folder)
    for number, table in enumerate((REASONS, REASONS[:0])):  # none may be left
        _write(tmp_path / str(number), rationales=table)
        assert read_rationales(tmp_path / str(number)).equals(table)
        assert _verify(tmp_path / str(number)) == (0, "")
        assert describe(tmp_path / str(number))["articles_with_a_reason"] == table.height


REASON_FAULTS = {
    "holds the id 'n4' more than once": {"id": pl.lit("n4")},
    "a reason of 'n9', which has no score": {"id": pl.col("id").replace("n1", "n9")},
    "not one of everything for each token of 'n1'": {"tail_mass": pl.lit([0.2, 0.3, 0.4])},
    "everything for each token of 'n1'": {
        name: pl.col(name).list.head(0)
        for name in ("tokens", "top_tokens", "top_log_probabilities", "tail_mass")
    },
    "not 2 alternatives for a token of 'n1'": {"top_tokens": pl.lit([[5], [6, 8]])},
    "another first alternative than the token for a token of 'n4'": {
        "tokens": pl.when(pl.col("id") == "n4").then(pl.lit([5, 7])).otherwise("tokens")
    },
    "probabilities that sum not to 1 for a token of 'n1'": {"tail_mass": pl.lit([0.25, 0.06])},
}


@pytest.mark.parametrize("fault", REASON_FAULTS)
def test_a_fault_of_a_reason_is_named(tmp_path: Path, fault: str) -> None:
    broken = REASONS.with_columns(**REASON_FAULTS[fault]).cast(dict(RATIONALE))
    _write(tmp_path / "s", rationales=broken)
    _manifest(tmp_path / "s", top=2)
    code, told = _verify(tmp_path / "s")
    assert (code, fault in told) == (1, True), told


def test_reasons_that_are_gone(tmp_path: Path) -> None:
    _write(tmp_path / "s", rationales=REASONS)
    _manifest(tmp_path / "s", rationales=3)
    assert "rationales holds 2 rows, but the manifest says 3" in _verify(tmp_path / "s")[1]
    (tmp_path / "s" / "rationales" / "part-00000.parquet").unlink()
    assert "part-00000.parquet is missing" in _verify(tmp_path / "s")[1]


def test_a_teacher_without_hidden_states(tmp_path: Path) -> None:
    _write(tmp_path / "s", width=0)
    with pytest.raises(InputError, match="its teacher gives none"):
        read_hidden(tmp_path / "s")


def test_a_state_too_large_for_16_bits_is_refused() -> None:
    with pytest.raises(InputError, match="too large for 16 bits"):
        half(np.array([1e5], np.float32))


def test_the_table_tells_what_there_is(folder: Path) -> None:
    told = describe(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert told["articles"] == sum(told["labels"].values()) == ROWS
    assert told["bytes_per_document"] == round(size / ROWS, 1)
    done = CliRunner().invoke(app, ["signals", str(folder)])
    assert done.exit_code == 0
    for word in ("mean entropy", "mean margin", "mean other mass", "bytes per", "f" * 32, *LABELS):
        assert word in done.stdout
    assert "Example: akd signals" in CliRunner().invoke(app, ["signals", "--help"]).stdout


@pytest.mark.parametrize("width", [0, 4])
def test_a_sound_folder_is_verified(tmp_path: Path, width: int) -> None:
    _write(tmp_path / "s", width)
    assert (tmp_path / "s" / "hidden").exists() == bool(width)
    assert _verify(tmp_path / "s") == (0, "")


def _seal(folder: Path) -> None:
    """Let the manifest name the files as they are, so that only what they say can be wrong."""
    manifest = json.loads((folder / "manifest.json").read_text())
    frame = pl.read_parquet(folder / "scores")
    write_signals(
        folder.parent / "other",
        frame,
        torch.zeros((ROWS, 4), dtype=torch.float16),
        labels=manifest["labels"],
        blocks=manifest["blocks"],
        model=manifest["model"],
        fingerprint=manifest["fingerprint"],
    )
    sealed = json.loads((folder.parent / "other" / "manifest.json").read_text())
    for name in manifest["files"]:
        if name.startswith("scores/"):
            manifest["files"][name] = sealed["files"][name]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _scores(folder: Path, **columns: pl.Expr) -> None:
    write_table(
        folder / "scores", pl.read_parquet(folder / "scores").with_columns(**columns), SIGNAL
    )
    _seal(folder)


def _manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))


NUMBERS = {"n0": "0", "n1": "nan", "n2": "0", "n3": "0", "n4": "0"}
SHARD = "hidden/part-00001.safetensors"
FAULTS: dict[str, Callable[[Path], object]] = {
    "part-00001.safetensors is missing": lambda folder: (folder / SHARD).unlink(),
    "part-9.parquet is not in the manifest": lambda folder: (
        folder / "scores" / "part-9.parquet"
    ).write_bytes(b"x"),
    "part-00001.safetensors has changed since": lambda folder: write_tensors(
        folder / SHARD, {"decision": torch.ones((2, 4), dtype=torch.float16)}
    ),
    "holds the id 'n1' more than once": lambda folder: _scores(
        folder, id=pl.col("id").replace("n3", "n1")
    ),
    "probabilities of 'n0' that sum not to 1": lambda folder: _scores(
        folder, probabilities=pl.lit([0.5, 0.4, 0.2])
    ),
    "probabilities of 'n1' that sum not to 1": lambda folder: _scores(
        folder, probabilities=pl.concat_list(pl.col("id").replace(NUMBERS).cast(float), 0.5, 0.5)
    ),
    "not one probability for each label of 'n0'": lambda folder: _manifest(
        folder, labels=["x", "y"]
    ),
    "holds 5 rows, but the manifest says 6": lambda folder: _manifest(folder, rows=6),
    "another width than the manifest": lambda folder: _manifest(folder, width=5),
    "another dtype than the manifest": lambda folder: _manifest(folder, dtype="float32"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence_and_exit_code_1(folder: Path, fault: str) -> None:
    FAULTS[fault](folder)
    code, told = _verify(folder)
    assert code == 1
    assert fault in told
    assert told.count("\n") == 1


def test_a_folder_of_something_else(folder: Path, tmp_path: Path) -> None:
    _manifest(folder, rows="many")
    for path, told in ((folder, r"no manifest of signals (rows)"), (tmp_path, "does not exist")):
        assert told in str(CliRunner().invoke(app, ["signals", str(path)]).exception)
