"""Environments of their own for what akd is compared with, so that the project needs none of it."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from akd.wheels import cache_folder


def environment(name: str, requirements: Sequence[str], compiled: Sequence[str] = ()) -> Path:
    """Return the Python of an environment that holds the requirements; it is made once.

    Args:
        name: stands in that of its folder.
        requirements: pinned; the first is what it is made for.
        compiled: names of those that are built from source, which takes a compiler and minutes.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(" ".join((version, *requirements)).encode()).hexdigest()[:12]
    folder = cache_folder() / "environments" / f"{name}-{digest}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if not complete.is_file():
        print(f"installing {requirements[0]} into {folder}", flush=True)
        run_quietly([sys.executable, "-m", "venv", "--clear", str(folder)])
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        sources = [f"--no-binary={package}" for package in compiled]
        run_quietly([*pip, "--only-binary=:all:", *sources, *requirements])
        complete.touch()
    return python


def run_quietly(command: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
    """Run a command with these variables beside those of this process.

    Raises:
        SystemExit: if it fails, with the end of what it wrote to its standard error.
    """
    surroundings = {**os.environ, **(variables or {})}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
