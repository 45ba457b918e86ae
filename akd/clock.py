"""How long each stage took when it last ran here; nothing of it reaches an output of DVC's.

Here is the folder in which DVC runs the stage: experiments in temporary folders do not mix.
"""

import os
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

from akd.io import read_json, write_json

_FOLDER = Path(".akd") / "seconds"

P = ParamSpec("P")


def timed(main: Callable[P, None]) -> Callable[P, None]:
    """Return a stage that notes its wall time, without its imports, when it ends well under DVC."""

    @wraps(main)
    def command(*arguments: P.args, **options: P.kwargs) -> None:
        start = time.perf_counter()
        main(*arguments, **options)
        if stage := os.environ.get("DVC_STAGE"):  # DVC tells it to every command
            seconds = round(time.perf_counter() - start, 3)
            write_json(_FOLDER / f"{stage}.json", {"seconds": seconds})

    return command


def stage_seconds() -> dict[str, float]:
    """Return the noted wall time of each stage, which it took the last time that it ran here.

    A stage whose outputs were downloaded has none.
    """
    return {path.stem: read_json(path)["seconds"] for path in sorted(_FOLDER.glob("*.json"))}
