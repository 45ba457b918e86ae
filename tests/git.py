"""git in the throw-away repositories of tests, whoever runs them."""

import subprocess
from pathlib import Path


def git(folder: Path, *words: str) -> None:
    """Run git in a folder.

    Raises:
        CalledProcessError: if it fails.
    """
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)
