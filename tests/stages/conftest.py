"""What makes many runs of stages affordable."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stages.warm_python import warm_python


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to put first on PATH, whose `python` starts a stage in a moment."""
    with warm_python(tmp_path_factory.mktemp("warm")) as folder:
        yield folder
