"""Models of the hub, from a server on loopback that answers as the hub does."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from tests.conftest import ROOT, tiny_model

SHA = "0123456789abcdef0123456789abcdef01234567"
RESOLVE = """
import sys
from pathlib import Path
from akd.errors import InputError
from akd.models.resolve import resolve
from akd.specs.pairs import HubModel
for name in sys.argv[2:]:
    try:
        resolve(HubModel(kind="hub", id=f"tiny/{name}", revision="main"), Path(sys.argv[1]) / name)
    except InputError as error:
        print(error)
"""


class Hub(BaseHTTPRequestHandler):
    """Serves each folder of `root` as the model tiny/<folder>."""

    def __init__(self, root: Path, asked: list[str], *arguments: object) -> None:
        self.root = root
        self.asked = asked
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer what the model holds, or a file of it."""
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/tiny/"):
            name, kind, _ = path.removeprefix("/api/models/tiny/").split("/")
            files = [file for file in sorted((self.root / name).rglob("*")) if file.is_file()]
            names = [file.relative_to(self.root / name).as_posix() for file in files]
            listed = [
                {"type": "file", "path": n, "oid": SHA, "size": f.stat().st_size}
                for n, f in zip(names, files, strict=True)
            ]
            found = {
                "id": f"tiny/{name}",
                "sha": SHA,
                "siblings": [{"rfilename": n} for n in names],
            }
            self._send(json.dumps(listed if kind == "tree" else found).encode())
        else:
            name, _, _, file = path.removeprefix("/tiny/").split("/", 3)
            self._send((self.root / name / file).read_bytes())

    def do_HEAD(self) -> None:
        """Answer without the body."""
        self.do_GET()

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", SHA)
        self.end_headers()
        if self.command == "GET":
            self.asked.append(self.path)
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[Path, str, list[str]]]:
    """Give the folder that is served, the address, and what has been asked for."""
    root = tmp_path / "hub"
    root.mkdir()
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, root, asked))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield root, f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def _resolve(address: str, home: Path, out: Path, *names: str) -> str:
    """Resolve them in a fresh process, and return what it says."""
    there = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-c", RESOLVE, str(out), *names],
        env={**os.environ, **there}, cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def test_weights_come_once_and_older_ones_as_pickles(
    hub: tuple[Path, str, list[str]], tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    root, address, asked = hub
    model = tiny_model("opt")
    for name in ("new", "old", "none"):
        model.config.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    model.save_pretrained(root / "new")
    model.save_pretrained(root / "new" / "onnx")
    for name in ("new", "old"):
        torch.save(model.state_dict(), root / name / "pytorch_model.bin")
    out = tmp_path / "out"
    told = _resolve(address, tmp_path, out, "new", "old", "none")
    assert "tiny/none@main has neither" in told
    assert len(told.splitlines()) == 1
    assert sorted(path.name for path in out.iterdir()) == ["new", "old"]
    assert [path.name for path in (out / "new").glob("*model*")] == ["model.safetensors"]
    assert not (out / "new" / "onnx").exists()
    for name in ("new", "old"):
        again = AutoModelForCausalLM.from_pretrained(out / name, local_files_only=True)
        assert torch.equal(again.lm_head.weight, model.lm_head.weight)
    asked.clear()
    _resolve(address, tmp_path, tmp_path / "again", "new")
    assert not [path for path in asked if "safetensors" in path], "the hub's cache has them"
    for file in (out / "new").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / "new" / file.name).read_bytes()
        assert not file.is_symlink()


def test_a_server_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    told = _resolve(address, tmp_path, tmp_path / "out", "new")
    assert told.startswith("model tiny/new@main cannot be downloaded (")
    assert len(told.splitlines()) == 1
