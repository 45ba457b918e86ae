"""Files of a user: which are read, how much memory it takes, and what is an error."""

import bz2
import gzip
import json
import lzma
import os
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from random import Random

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from akd.corpus.sources import files
from akd.errors import InputError
from akd.specs.sources import FilesSource
from tests.corpus.user_files import read_files, rows_of_files, texts_of, write_file

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


def test_each_format_gives_the_same_rows(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"body": ["one", "two, 好"], "nr": [7, 8], "new": [True, None], "x": [1, 2]}
    )
    frame.write_csv(tmp_path / "a.csv")
    frame.write_ndjson(tmp_path / "a.jsonl")
    frame.write_ndjson(tmp_path / "b.ndjson")
    frame.write_parquet(tmp_path / "a.parquet")
    csv, jsonl, ndjson, parquet = (
        read_files(tmp_path, name, text="body", id="nr", domain="new")
        for name in ("a.csv", "a.jsonl", "*.ndjson", "a.parquet")
    )
    assert csv == jsonl == ndjson == parquet
    assert csv[0] == {
        "id": "7",
        "source": "mine",
        "domain": "true",
        "language_hint": "en",
        "title": "",
        "text": "one",
        "published": "",
    }
    assert csv[1]["text"] == "two, 好"
    assert csv[1]["domain"] == ""


def test_domain_and_language_may_be_columns_alone(tmp_path: Path) -> None:
    write_file(tmp_path, "a.jsonl", '{"body": "habari", "desk": "world", "lang": "sw"}\n')
    source = {"kind": "files", "name": "mine", "paths": ["a.jsonl"]}
    columns = {"text": "body", "domain": "desk"}
    for named, hint in ((columns, ""), ({**columns, "language_hint": "lang"}, "sw")):
        found = files.read(FilesSource.model_validate({**source, "columns": named}), tmp_path)
        assert [(row["domain"], row["language_hint"]) for row in found] == [("world", hint)]
    with pytest.raises(ValueError, match=r"no domain: name one of domains\.yaml"):
        FilesSource.model_validate({**source, "columns": {"text": "body"}})


@pytest.mark.parametrize("suffix", sorted(COMPRESSORS))
@pytest.mark.parametrize(
    ("kind", "content"), [("csv", b"body\none\n"), ("jsonl", b'{"body": "one"}\n')]
)
def test_text_files_may_be_compressed(
    tmp_path: Path, suffix: str, kind: str, content: bytes
) -> None:
    write_file(tmp_path, f"a.{kind}.{suffix}", COMPRESSORS[suffix](content))
    assert texts_of(read_files(tmp_path, "*")) == ["one"]


def test_a_folder_means_all_files_of_known_kinds_below_it(tmp_path: Path) -> None:
    write_file(tmp_path, "news/b.csv", "body\ntwo\n")
    write_file(tmp_path, "news/2024/a.JSONL", '{"body": "one"}\n')
    write_file(tmp_path, "news/notes.txt", "no article")
    write_file(tmp_path, "news/.hidden.csv", "body\nthree\n")
    assert texts_of(read_files(tmp_path, "news")) == ["one", "two"]


def test_files_come_by_path_and_once(tmp_path: Path) -> None:
    for name in "cab":
        write_file(tmp_path, f"{name}.csv", f"body\n{name}\n")
    os.symlink(tmp_path / "b.csv", tmp_path / "link.csv")
    assert texts_of(read_files(tmp_path, "b.*", "*.csv", ".")) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"", "a.csv has no rows"),
        ("a.csv", b"body\n", "a.csv has no rows"),
        ("a.csv", b"headline,x\none,two\n", "has no column 'body' .it has headline, x"),
        ("a.csv", b"body,body\none,two\n", "has two columns 'body'"),
        ("a.csv", b'"body\none\n', "a.csv cannot be read .unexpected end of data.: mend its head"),
        ("a.csv", "body\none\n".encode("utf-16"), "a.csv is UTF-16"),
        ("a.csv", "body\none\n".encode("utf-16-le"), "a.csv is UTF-16"),
        ("a.csv.gz", b"", "a.csv.gz has no rows"),
        ("a.jsonl", b"\n \n", "a.jsonl has no rows"),
        ("a.jsonl", b'{"x": 1}\n{"y": 1}\n', "has no column 'body' .it has x, y"),
        ("a.jsonl", b'[{"body": 1}]\n', "a.jsonl is one JSON document"),
        ("a.jsonl", b'{\n"body": 1}\n', "a.jsonl is one JSON document"),
        ("a.jsonl", '{"body": 1}'.encode("utf-16"), "a.jsonl is UTF-16"),
        ("a.parquet", b"", "a.parquet cannot be read"),
        ("a.parquet", b"PAR1 cut", "a.parquet cannot be read"),
        ("a.txt", b"text", "a.txt is of no known kind"),
        ("a.txt.gz", b"text", "a.txt.gz is of no known kind"),
        ("a.parquet.gz", b"text", "a.parquet.gz is of no known kind"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    write_file(tmp_path, name, content)
    with pytest.raises(InputError, match=told):
        read_files(tmp_path, "a.*")


@pytest.mark.parametrize("suffix", sorted(COMPRESSORS))
@pytest.mark.parametrize("kind", ["cut", "damaged", "foreign"])
def test_a_broken_archive_is_an_error_even_after_good_rows(
    tmp_path: Path, suffix: str, kind: str
) -> None:
    noise = "".join(f"{number * 7919 % 99991}\n" for number in range(100_000))
    content = COMPRESSORS[suffix](f"body\n{noise}".encode())
    middle = len(content) // 2
    broken = {
        "cut": content[:middle],
        "damaged": content[:middle] + bytes(100) + content[middle + 100 :],
        "foreign": noise.encode(),
    }
    write_file(tmp_path, f"a.csv.{suffix}", broken[kind])
    with pytest.raises(InputError, match=f"a.csv.{suffix} cannot be read"):
        read_files(tmp_path, "*")


def test_the_rows_before_a_cut_were_there_to_read(tmp_path: Path) -> None:
    noise = "".join(f"{number * 7919 % 99991}\n" for number in range(100_000))
    content = gzip.compress(f"body\n{noise}".encode())
    write_file(tmp_path, "a.csv.gz", content[: len(content) // 2])
    rows = rows_of_files(tmp_path, "*")
    assert next(rows)["text"] == "0"
    with pytest.raises(InputError, match="check that it is whole"):
        list(rows)


@pytest.mark.parametrize("path", ["../a.csv", "news/../../a.csv", "/tmp/a.csv"])
def test_a_path_does_not_leave_the_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match="leads out of .*articles"):
        read_files(tmp_path / "articles", path)


@pytest.mark.parametrize("path", ["*.csv", "missing.csv", "news"])
def test_a_path_without_a_file_says_where_to_put_it(tmp_path: Path, path: str) -> None:
    write_file(tmp_path, "news/notes.txt", "no article")
    with pytest.raises(InputError, match="matches no file: put your articles there"):
        read_files(tmp_path, path)


def test_a_link_to_nowhere_is_an_error(tmp_path: Path) -> None:
    os.symlink(tmp_path / "gone.csv", tmp_path / "a.csv")
    with pytest.raises(InputError, match="a.csv cannot be read"):
        read_files(tmp_path, "*")


def _write_csv(path: Path, texts: Iterator[str]) -> None:
    with path.open("w") as file:
        file.writelines(chain(["body\n"], (f"{text}\n" for text in texts)))


def _write_json_lines(path: Path, texts: Iterator[str]) -> None:
    with path.open("w") as file:
        file.writelines(json.dumps({"body": text}) + "\n" for text in texts)


def _write_parquet(path: Path, texts: Iterator[str]) -> None:
    pq.write_table(pa.table({"body": list(texts)}), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.csv", _write_csv), ("a.jsonl", _write_json_lines), ("a.parquet", _write_parquet)],
)
def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, name: str, write: Callable[[Path, Iterator[str]], None]
) -> None:
    noise = Random(0)
    write(tmp_path / name, (noise.randbytes(100).hex() for _ in range(50_000)))  # 10 MB
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    in_arrow = [pa.total_allocated_bytes() for _ in rows_of_files(tmp_path, name)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(in_arrow) == 50_000
    assert peak < 4_000_000
    assert max(in_arrow) - before < 4_000_000
