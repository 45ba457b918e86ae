"""Where a source may look: below the task's folder `articles/`, and nowhere else."""

from pathlib import Path, PurePosixPath

from akd.errors import InputError


def below(folder: Path, name: str) -> Path:
    """Return the path of what a task names, from its folder `articles/`.

    Raises:
        InputError: if the name is absolute or climbs out with `..`.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{name!r} leads out of {folder}: put the files there, or link them there")
    return folder / path
