"""What the tests of Event Registry share: a service on loopback that never shows its key."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from eventregistry import EventRegistry

from akd.corpus.sources import event_registry_service
from tests.corpus.event_registry_server import KEY, FakeEventRegistry, made_up, serving


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """The folder of the stored pages."""
    return tmp_path / "pages"


@pytest.fixture
def server(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[FakeEventRegistry]:
    """250 English and 250 German articles; after the test the key is neither shown nor stored."""
    home = tmp_path / "home" / ".eventregistry"
    home.mkdir(parents=True)
    (home / "settings.json").write_text('{"apiKey": "of-the-home", "host": "http://127.0.0.1:9"}')
    client = sys.modules[EventRegistry.__module__]
    monkeypatch.setattr(client, "RETRY_BASE_DELAY", 0.001)
    monkeypatch.setattr(client, "MAX_RETRY_DELAY", 0.01)
    monkeypatch.setattr(event_registry_service, "_SECONDS_BETWEEN_REQUESTS", 0.0)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("EVENTREGISTRY_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    with serving([made_up(number) for number in range(500)]) as fake:
        monkeypatch.setenv("EVENTREGISTRY_HOST", fake.host)
        yield fake
    printed = capfd.readouterr()
    logged = "".join(record.getMessage() for record in caplog.get_records("call"))
    assert KEY not in logged + printed.out + printed.err
    assert "No API key" not in printed.out
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()
