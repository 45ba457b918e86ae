"""A `python` whose stages start in a moment: forked from a process that has imported the libraries.

Every stage of the DAG is a process of its own, and most of its time goes into importing torch and
transformers. Where a test runs dozens of them, `dvc` finds this `python` on PATH: it hands its
arguments, folder, environment and streams to a server, which forks and runs the module as
`python -m` does. The project's own modules are never imported before the fork.
"""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIBRARIES = (
    "datasets",
    "peft",
    "polars",
    "pydantic",
    "scipy.stats",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "torch",
    "transformers.trainer",
    "typer",
)
CLIENT = """\
#!{python} -IS
import json, os, socket, sys
if sys.argv[1:2] != ["-m"]:
    os.execv("{python}", sys.argv)
with socket.socket(socket.AF_UNIX) as server:
    server.connect("{socket}")
    order = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(order).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(order)
    code = server.recv(1)  # empty if the stage was killed
sys.exit(code[0] if code else 1)
"""


@contextmanager
def warm_python(folder: Path) -> Iterator[Path]:
    """Give a folder for PATH that holds `python`; the server behind it ends with the block."""
    place = folder / "socket"
    server = subprocess.Popen([sys.executable, __file__, str(place)], start_new_session=True)
    try:
        while not place.exists():
            assert server.poll() is None
            time.sleep(0.05)
        client = folder / "bin" / "python"
        client.parent.mkdir()
        client.write_text(CLIENT.format(python=sys.executable, socket=place))
        client.chmod(0o755)
        yield client.parent
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _serve(place: str) -> None:
    for name in LIBRARIES:
        __import__(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen(16)
        while True:
            client, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _answer(client)
            client.close()


def _answer(client: socket.socket) -> None:
    """Run what the client asks for in a process of its own and tell how it ended."""
    size, streams, _, _ = socket.recv_fds(client, 8, 3)
    arguments, folder, environment = json.loads(_read(client, int.from_bytes(size, "big")))
    stage = os.fork()
    if stage == 0:
        client.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        _run(arguments, folder)
    _, status = os.waitpid(stage, 0)
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        client.sendall(bytes([code]))
    os._exit(0)


def _read(client: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += client.recv(size - len(found))
    return found


def _run(arguments: list[str], folder: str) -> None:
    """Run a module as the main program, and leave with its exit code."""
    sys.argv, sys.path[0] = arguments, folder
    code = 0
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1])
