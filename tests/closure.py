"""The modules of akd/ that a file reaches through its imports, found in its syntax tree."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_TRACKED = re.compile(r"akd/(params|specs/(?!sources)\w+)\.py")
"""Their values are tracked as params of the stage; those of sources.py stand in task.yaml."""


def closure(script: Path, root: Path) -> set[str]:
    """Return the paths, relative to the root, of all modules that a script imports, and itself."""
    found: set[str] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(root).as_posix()
        if name in found or _TRACKED.fullmatch(name):
            continue
        found.add(name)
        waiting.extend(imports(path, root))
    return found


def imports(path: Path, root: Path) -> Iterator[Path]:
    """Yield the modules of the project that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            module = root.joinpath(*name.split(".")).with_suffix(".py")
            if name.startswith("akd.") and module.is_file():
                yield module
