"""Atomic files: whole or not there."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import polars as pl
import pytest
import torch

from akd import io
from akd.errors import InputError

SCHEMA = pl.Schema({"id": pl.String, "value": pl.Int64})


def test_a_block_that_fails_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with io.replacing(out) as aside:
        (aside / "file").write_text("old")
    with pytest.raises(KeyboardInterrupt), io.replacing(out) as aside:
        (aside / "file").write_text("half")
        raise KeyboardInterrupt
    assert (out / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_tables_come_back_in_order_over_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(io, "ROWS_PER_SHARD", 3)
    frame = pl.DataFrame({"id": list("gfedcba"), "value": range(7)}, schema=SCHEMA)
    io.write_table(tmp_path / "t", frame, SCHEMA)
    assert [path.name for path in sorted((tmp_path / "t").iterdir())] == [
        f"part-{number:05d}.parquet" for number in range(3)
    ]
    assert io.read_table(tmp_path / "t", SCHEMA).equals(frame)


def test_an_empty_table_keeps_its_schema(tmp_path: Path) -> None:
    io.write_table(tmp_path / "t", pl.DataFrame(schema=SCHEMA), SCHEMA)
    assert io.read_table(tmp_path / "t", SCHEMA).schema == SCHEMA


def test_a_table_of_another_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="columns"):
        io.write_table(tmp_path / "t", pl.DataFrame({"id": [1]}), SCHEMA)
    io.write_table(tmp_path / "t", pl.DataFrame(schema=SCHEMA), SCHEMA)
    with pytest.raises(InputError, match="another version"):
        io.read_table(tmp_path / "t", pl.Schema({"id": pl.String}))
    with pytest.raises(InputError, match="no table"):
        io.read_table(tmp_path / "nowhere", SCHEMA)


def test_a_damaged_shard_is_named_by_its_table(tmp_path: Path) -> None:
    io.write_table(tmp_path / "t", pl.DataFrame({"id": ["a"], "value": [1]}), SCHEMA)
    (tmp_path / "t" / "part-00000.parquet").write_bytes(b"PAR1 half")
    with pytest.raises(InputError, match="t is damaged: `dvc checkout`"):
        io.read_table(tmp_path / "t", SCHEMA)


def test_text_is_utf_8_with_or_without_a_mark(tmp_path: Path) -> None:
    (tmp_path / "mark.jsonl").write_text('{"id": "é"}\n', encoding="utf-8-sig")
    assert io.read_json_lines(tmp_path / "mark.jsonl") == [{"id": "é"}]
    (tmp_path / "other.jsonl").write_text('{"id": "é"}\n', encoding="cp1252")
    with pytest.raises(InputError, match=r"other.jsonl is not UTF-8 \(byte 8 of it\): save it"):
        io.read_json_lines(tmp_path / "other.jsonl")
    with pytest.raises(InputError, match="is a folder: name a file"):
        io.read_json(tmp_path)


def test_json_refuses_what_metrics_cannot_compare(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        io.write_json(tmp_path / "m.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "told"), [("{", ":1 is not JSON"), ("[1]", "not a JSON object")]
)
def test_json_lines_name_the_bad_line(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=told):
        io.read_json_lines(path)
    with pytest.raises(InputError, match="does not exist"):
        io.read_json_lines(tmp_path / "none.jsonl")


def test_tensors_have_equal_bytes(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(3), "a": torch.ones(2, 2)}
    for name in ("one", "two"):
        io.write_tensors(tmp_path / name, tensors)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert torch.equal(io.read_tensors(tmp_path / "one")["b"], torch.arange(3))


def test_json_lines_end_where_a_line_ends_and_nowhere_else(tmp_path: Path) -> None:
    rows = [{"text": "one\u2028two\x85three\nfour"}, {"text": ""}]
    io.write_json_lines(tmp_path / "rows.jsonl", rows)
    assert io.read_json_lines(tmp_path / "rows.jsonl") == rows


def _write_often(write: Callable[[Path, int], None], path: Path, value: int) -> None:
    for _ in range(300):
        write(path, value)


def _write_tensors(path: Path, value: int) -> None:
    io.write_tensors(path, {"a": torch.full((1000,), value)})


@pytest.mark.parametrize("write", [io.write_json, _write_tensors])
def test_processes_that_write_one_file_do_not_meet(
    tmp_path: Path, write: Callable[[Path, int], None]
) -> None:
    path = tmp_path / "shared"
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(partial(_write_often, write, path), [1, 2]))
    assert [found.name for found in tmp_path.iterdir()] == ["shared"]
    whole = tmp_path / "whole"
    contents = []
    for value in (1, 2):
        write(whole, value)
        contents.append(whole.read_bytes())
    assert path.read_bytes() in contents


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "tensors"
    io.write_tensors(path, {"a": torch.zeros(1)})
    kept = path.read_bytes()
    with pytest.raises(AttributeError):
        io.write_tensors(path, {"a": None})  # type: ignore[dict-item]
    assert path.read_bytes() == kept
    assert [found.name for found in tmp_path.iterdir()] == ["tensors"]
