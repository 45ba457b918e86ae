"""Data sets in folders, as files and as written by save_to_disk; the hub only by its errors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import datasets
import polars as pl
import pyarrow as pa
import pytest
from datasets.exceptions import DatasetNotFoundError

from akd.corpus.sources import huggingface
from akd.corpus.sources.row import Row
from akd.errors import InputError
from akd.specs.sources import HuggingFaceSource

FRAME = pl.DataFrame({"body": ["one", None, "drei"], "nr": [7, 8, 9], "x": [1, 2, 3]})


def _read(
    folder: Path, dataset: str, columns: dict[str, str] | None = None, **more: str
) -> list[Row]:
    source = HuggingFaceSource(
        kind="huggingface",
        name="theirs",
        dataset=dataset,
        columns=columns or {"text": "body", "id": "nr"},
        domain="shop",
        language="en",
        **{"split": "train", **more},
    )
    return list(huggingface.read(source, folder))


def _save(path: Path) -> datasets.Dataset:
    saved = datasets.Dataset.from_dict(FRAME.to_dict(as_series=False))
    saved.save_to_disk(path)
    return saved


WRITERS: dict[str, Callable[[Path], Any]] = {
    "csv": lambda folder: FRAME.write_csv(folder / "a.csv"),
    "jsonl": lambda folder: FRAME.write_ndjson(folder / "a.jsonl"),
    "parquet": lambda folder: FRAME.write_parquet(folder / "train-0.parquet"),
    "saved": _save,
    "saved_splits": lambda folder: datasets.DatasetDict(train=_save(folder / "x")).save_to_disk(
        folder
    ),
}


@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_each_kind_of_folder_gives_the_same_rows(tmp_path: Path, kind: str) -> None:
    (tmp_path / "news").mkdir()
    WRITERS[kind](tmp_path / "news")
    rows = _read(tmp_path, "news")
    assert [(row["id"], row["text"]) for row in rows] == [("7", "one"), ("8", ""), ("9", "drei")]
    assert rows[0] == {
        "id": "7",
        "source": "theirs",
        "domain": "shop",
        "language_hint": "en",
        "title": "",
        "text": "one",
        "published": "",
    }


def test_only_the_split_of_the_source_is_read(tmp_path: Path) -> None:
    for split in ("train", "test"):
        pl.DataFrame({"body": [split], "nr": [1]}).write_parquet(tmp_path / f"{split}-0.parquet")
    assert [row["text"] for row in _read(tmp_path, ".", split="test")] == ["test"]


def test_a_configuration_of_a_folder_can_be_chosen(tmp_path: Path) -> None:
    for config in ("de", "en"):
        (tmp_path / config).mkdir()
        pl.DataFrame({"body": [config], "nr": [1]}).write_parquet(tmp_path / config / "a.parquet")
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n"
        "- {config_name: de, data_files: de/*.parquet}\n"
        "- {config_name: en, data_files: en/*.parquet}\n---\n"
    )
    assert [row["text"] for row in _read(tmp_path, ".", config="en")] == ["en"]
    with pytest.raises(InputError, match=r"'fr' not found. Available: \['de', 'en'\]"):
        _read(tmp_path, ".", config="fr")
    with pytest.raises(InputError, match=r"Config name is missing.*\['de', 'en'\]"):
        _read(tmp_path, ".")


def test_values_of_several_types_are_text(tmp_path: Path) -> None:
    lines = ['{"body": "one"}', '{"body": 2}', '{"body": ["three"]}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    rows = _read(tmp_path, ".", {"text": "body"})
    assert [row["text"] for row in rows] == ["one", "2", '["three"]']
    assert [row.get("reason") for row in rows] == [None, None, "not_text"]
    assert rows[2]["detail"] == ".: row 3: its text is a list"


def test_bytes_that_are_not_utf_8_cost_their_row_only(tmp_path: Path) -> None:
    values = pa.array([b"one", b"caf\xe9", b"two"], pa.binary())
    datasets.Dataset(pa.table({"body": values})).save_to_disk(tmp_path / "saved")
    rows = _read(tmp_path, "saved", {"text": "body"})
    assert [row.get("reason") for row in rows] == [None, "wrong_encoding", None]
    assert rows[1]["detail"].startswith("saved: row 2: ")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"split": "tset"}, "no split 'tset' .it has train.: correct `split`"),
        ({"columns": {"text": "content"}}, "no column 'content' .it has body, nr, x.: correct"),
        ({"config": "fr"}, r"'fr' not found. Available: \['default'\]"),
    ],
)
def test_what_a_data_set_lacks_is_listed(tmp_path: Path, more: dict[str, Any], told: str) -> None:
    FRAME.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=told):
        _read(tmp_path, ".", **more)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"split": "tset"}, "no split 'tset' .it has train"),
        ({"columns": {"text": "content"}}, "no column 'content' .it has body, nr, x"),
        ({"config": "fr"}, "written by save_to_disk and has no configurations: take `config`"),
    ],
)
def test_what_a_saved_data_set_lacks_is_listed(
    tmp_path: Path, more: dict[str, Any], told: str
) -> None:
    WRITERS["saved_splits"](tmp_path)
    with pytest.raises(InputError, match=told):
        _read(tmp_path, ".", **more)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.unknown", b"", "cannot be read .No .supported. data files"),
        ("a.jsonl", b"", "cannot be read .one of its files is empty"),
        ("a.csv", b"", "cannot be read .No columns"),
        ("a.csv", b"body,nr\n", "data set news has no rows"),
        ("a.jsonl", b'{"body": "one", "nr": 1}\n{broken\n', "cannot be read .JSON parse error"),
        ("a.parquet", b"PAR1 cut", "cannot be read .Parquet magic bytes"),
        ("state.json", b"{", "cannot be read .*neither a `Dataset` directory nor"),
        ("dataset_dict.json", b"{", "cannot be read .Expecting property name"),
    ],
)
def test_a_broken_folder_is_one_sentence(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    (tmp_path / "news").mkdir()
    (tmp_path / "news" / name).write_bytes(content)
    with pytest.raises(InputError, match=told):
        _read(tmp_path, "news")


@pytest.mark.parametrize("dataset", ["missing", "a/b/c", "csv", "a.parquet"])
def test_neither_a_folder_nor_an_id_is_an_error(tmp_path: Path, dataset: str) -> None:
    FRAME.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="is neither a folder in .* nor owner/name"):
        _read(tmp_path, dataset)


@pytest.mark.parametrize("dataset", ["../other", "/tmp"])
def test_a_folder_does_not_leave_that_of_the_task(tmp_path: Path, dataset: str) -> None:
    with pytest.raises(InputError, match="leads out of"):
        _read(tmp_path, dataset)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DatasetNotFoundError("'a/b' is a gated dataset"), "gated dataset.*run `hf auth login`"),
        (DatasetNotFoundError("'a/b' doesn't exist"), "doesn't exist.*check `dataset` and `revis"),
        (ConnectionError("Couldn't reach 'a/b'"), "Couldn't reach.*check the network"),
        (
            RuntimeError("Dataset scripts are no longer supported"),
            "scripts are no longer supported",
        ),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def refuse(*arguments: Any, **named: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(InputError, match=f"data set a/b of the source 'theirs' cannot.*{told}"):
        _read(tmp_path, "a/b")


def test_the_hub_is_asked_for_the_revision_and_never_for_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def load(*arguments: Any, **named: Any) -> dict[str, Any]:
        asked.extend([arguments, named])
        return {"train": datasets.Dataset.from_dict({"body": ["one"]}).to_iterable_dataset()}

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)  # of the working directory, not of the task
    rows = _read(tmp_path / "articles", "a/b", {"text": "body"}, config="de", revision="v1")
    assert [row["text"] for row in rows] == ["one"]
    assert asked == [("hf://datasets/a/b", "de"), {"revision": "v1", "streaming": True}]


def test_without_a_network_the_hub_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Couldn't reach 'nobody/nothing'.*: check the network"):
        _read(tmp_path, "nobody/nothing")
