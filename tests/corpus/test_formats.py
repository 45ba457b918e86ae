"""CSV, JSON lines and Parquet of a user: values as text, and rows that are rejected."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from akd.errors import InputError
from tests.corpus.user_files import read_files, rejected_of, texts_of, write_file


def test_csv_may_hold_line_ends_nul_bytes_and_long_texts(tmp_path: Path) -> None:
    long = "word " * 400_000
    text = f'\ufeffbody,x\r\n"two\nlines, ""quoted""",1\r\n\r\nwith \0 nul,2\r\n{long},3\r\n'
    write_file(tmp_path, "a.csv", text)
    assert texts_of(read_files(tmp_path, "a.csv")) == ['two\nlines, "quoted"', "with \0 nul", long]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv_is_separated_by_commas(tmp_path: Path, separator: str) -> None:
    write_file(tmp_path, "a.csv", f"id{separator}body\n1{separator}one\n")
    with pytest.raises(InputError, match="has one column, .*: separate columns by commas"):
        read_files(tmp_path, "a.csv")


def test_json_values_are_text_as_they_are_written(tmp_path: Path) -> None:
    lines = [
        '{"body": "one", "nr": 123456789012345678901234567890, "day": NaN}',
        "",
        '{"body": 1.50, "nr": true, "day": {"$date": "2024"}}',
        '{"body": null}',
        '{"body": "half \\ud83d"}',
    ]
    write_file(tmp_path, "a.jsonl", "\ufeff" + "\n".join(lines))
    rows = read_files(tmp_path, "a.jsonl", text="body", id="nr", published="day")
    assert [row["text"] for row in rows] == ["one", "1.50", "", "half \ud83d"]
    assert [row["id"] for row in rows] == ["123456789012345678901234567890", "true", "", ""]
    assert [row["published"] for row in rows] == ["", '{"$date": "2024"}', "", ""]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([7, None]), ["7", ""]),
        (pa.array([1.5, float("nan")]), ["1.5", ""]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array(["a", None], pa.string_view()), ["a", ""]),
        (pa.array([b"a", b"b"], pa.large_binary()), ["a", "b"]),
        (pa.array([0, 1], pa.date32()), ["1970-01-01", "1970-01-02"]),
        (pa.array([None, None]), ["", ""]),
        (pa.array(['"a"', "2.50"], pa.json_()), ["a", "2.50"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_parquet_values_are_text_whatever_their_type(
    tmp_path: Path, values: pa.Array, texts: list[str]
) -> None:
    pq.write_table(pa.table({"a.b": values, "c": values}), tmp_path / "a.parquet")
    assert [row["text"] for row in read_files(tmp_path, "*", text="a.b")] == texts


def test_a_row_with_other_fields_than_the_header_is_rejected(tmp_path: Path) -> None:
    write_file(tmp_path, "in/a.csv", 'id,body\n1,"one\n1"\n2,two,too many\n3\n4,four\n')
    rows = read_files(tmp_path, "in")
    assert texts_of(rows) == ["one\n1", "four"]
    assert rejected_of(rows) == [
        ("shifted_columns", "in/a.csv:4"),
        ("shifted_columns", "in/a.csv:5"),
    ]
    assert rows[1]["text"] == "2,two,too many\n"
    assert rows[1]["detail"] == "in/a.csv:4: 3 fields, but the header has 2"


@pytest.mark.parametrize(
    "broken",
    ['2,"two" and more', '2,"never closed', '2,"never closed\n3,"nor this', '2,"a\n3,"b"c'],
)
def test_a_stray_quote_costs_only_its_own_line(tmp_path: Path, broken: str) -> None:
    write_file(tmp_path, "a.csv", f'id,body\n1,one\n{broken}\n8,eight\n9,"nine"\n')
    rows = read_files(tmp_path, "a.csv")
    assert texts_of(rows) == ["one", "eight", "nine"]
    count = 1 + broken.count("\n")
    assert rejected_of(rows) == [("not_csv", f"a.csv:{3 + number}") for number in range(count)]


def test_a_line_that_is_no_json_object_is_rejected(tmp_path: Path) -> None:
    broken = ["{broken", "[1, 2]", '"text"', "null", '{"body": Infinity}', "[" * 100_000]
    write_file(tmp_path, "a.jsonl", "\n".join(['{"body": "one"}', *broken, '{"body": "two"}']))
    rows = read_files(tmp_path, "a.jsonl")
    assert texts_of(rows) == ["one", "two"]
    assert rejected_of(rows) == [("not_json", f"a.jsonl:{number}") for number in range(2, 8)]
    assert rows[1]["text"] == "{broken\n"
    assert len(rows[6]["text"]) == 2_000


def test_a_file_with_nothing_but_a_broken_line_is_no_error(tmp_path: Path) -> None:
    write_file(tmp_path, "a.jsonl", "{broken")
    assert rejected_of(read_files(tmp_path, "a.jsonl")) == [("not_json", "a.jsonl:1")]


@pytest.mark.parametrize("column", ["text", "title", "id"])
@pytest.mark.parametrize("nested", [["one"], {"en": "one"}])
def test_a_nested_value_is_no_text(tmp_path: Path, column: str, nested: Any) -> None:
    write_file(tmp_path, "a.jsonl", json.dumps({"body": nested}) + '\n{"body": "two"}')
    rows = read_files(tmp_path, "a.jsonl", **{column: "body"})
    assert rejected_of(rows) == [("not_text", "a.jsonl:1")]
    assert rows[0]["text"] == json.dumps(nested)
    assert rows[1][column] == "two"


def _in_csv(path: Path, values: list[bytes]) -> None:
    path.write_bytes(b"body,x\n" + b"".join(value + b",\xff\n" for value in values))


def _in_json_lines(path: Path, values: list[bytes]) -> None:
    path.write_bytes(b"".join(b'{"body": "' + value + b'", "x": "\xff"}\n' for value in values))


def _in_parquet(path: Path, values: list[bytes]) -> None:
    unchecked = pa.array(values, pa.binary()).view(pa.string())
    pq.write_table(pa.table({"body": unchecked}), path)


@pytest.mark.parametrize(
    ("name", "write", "place"),
    [
        ("a.csv", _in_csv, "a.csv:3"),
        ("a.jsonl", _in_json_lines, "a.jsonl:2"),
        ("a.parquet", _in_parquet, "a.parquet"),
    ],
)
def test_bytes_that_are_not_utf_8_cost_their_row_only(
    tmp_path: Path, name: str, write: Callable[[Path, list[bytes]], None], place: str
) -> None:
    write(tmp_path / name, ["één".encode(), b"caf\xe9", b"two"])
    rows = read_files(tmp_path, name)
    assert texts_of(rows) == ["één", "two"]
    assert rejected_of(rows) == [("wrong_encoding", place)]
    assert rows[1]["text"] == "caf\\udce9"


def _parquet(folder: Path, **columns: pa.Array) -> bytes:
    pq.write_table(pa.table(columns), folder / "whole.parquet")
    return (folder / "whole.parquet").read_bytes()


def test_a_broken_parquet_file_is_one_sentence(tmp_path: Path) -> None:
    whole = _parquet(tmp_path, body=pa.array([f"text {number}" for number in range(10_000)]))
    write_file(tmp_path, "cut.parquet", whole[: len(whole) // 2])
    middle = len(whole) // 3
    write_file(tmp_path, "hole.parquet", whole[:middle] + bytes(2_000) + whole[middle + 2_000 :])
    for name in ("cut", "hole"):
        with pytest.raises(InputError, match=f"{name}.parquet cannot be read"):
            read_files(tmp_path, f"{name}.parquet")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (pa.array([], pa.string()), "whole.parquet has no rows"),
        (pa.array([["one"]]), "column 'body' .list.* cannot be read as text"),
        (pa.array([{"en": "one"}]), "column 'body' .struct.* cannot be read as text"),
    ],
    ids=["empty", "list", "struct"],
)
def test_a_parquet_file_without_texts_is_an_error(
    tmp_path: Path, values: pa.Array, told: str
) -> None:
    _parquet(tmp_path, body=values)
    with pytest.raises(InputError, match=told):
        read_files(tmp_path, "*")
    with pytest.raises(InputError, match="no column 'headline' .it has body"):
        read_files(tmp_path, "*", title="headline")


def test_a_key_that_no_object_has_is_named_among_many(tmp_path: Path) -> None:
    lines = [json.dumps({f"key{number}": 1}) for number in range(99)]
    write_file(tmp_path, "a.jsonl", "\n".join([*lines, '{"body": "one"}']))
    assert len(read_files(tmp_path, "*")) == 100
    with pytest.raises(InputError, match="no column 'headline' .it has key0, .*, body"):
        read_files(tmp_path, "*", text="body", title="headline")
