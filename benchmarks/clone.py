"""A clone of the committed project in which a benchmark runs experiments, and its result file."""

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from akd.io import read_json, write_json

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
METHOD = (
    "akd/distill", "akd/models", "akd/prompts", "akd/evaluate/predict.py", "benchmarks/phases.py",
)  # fmt: skip
"""What decides what a method learns, beside parameters and lessons."""


@contextmanager
def fresh_clone(*, shared_cache: bool, kept_scores: bool = False) -> Iterator[Path]:
    """Give a clone without outputs.

    Args:
        shared_cache: it takes over what the project has computed of the same inputs.
        kept_scores: it knows what the project's teacher has said.
    """
    with TemporaryDirectory() as scratch:
        clone = Path(scratch) / "akd"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        if shared_cache:
            run(clone, ["dvc", "cache", "dir", "--local", str(ROOT / ".dvc" / "cache")])
        if kept_scores and (ROOT / ".akd").is_dir():
            shutil.copytree(ROOT / ".akd", clone / ".akd")
        yield clone


def run(clone: Path, command: Sequence[str]) -> None:
    """Run a command of the project's environment in the clone; its output goes to the terminal."""
    print(f"$ {shlex.join(command)}", flush=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, cwd=clone, check=True, env={**os.environ, "PATH": path})


def experiment(clone: Path, changes: Sequence[str]) -> dict[str, Any]:
    """Run the DAG with changed parameters; return metrics/evaluate.json."""
    run(clone, ["dvc", "exp", "run", *(part for change in changes for part in ("-S", change))])
    report: dict[str, Any] = read_json(clone / "metrics" / "evaluate.json")
    return report


def contestants(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return of metrics/evaluate.json what is told of each run: accuracies, intervals, the gap."""
    models = ("teacher", "student", "tfidf")
    return {
        **{model: report[model]["accuracy"] for model in models},
        "n": report["n"],
        "interval": {model: report[model]["interval"]["accuracy"] for model in models},
        "gap": report["gap"],
    }


def write_result(name: str, command: str, result: Mapping[str, Any]) -> None:
    """Write benchmarks/results/<name>.json with the machine and the command beside the figures."""
    write_json(RESULTS / f"{name}.json", {"command": command, "machine": machine(), **dict(result)})
    print(json.dumps(result, indent=2))


def measured(name: str, keys: Iterable[str]) -> dict[str, Any]:
    """Return those of these figures that benchmarks/results/<name>.json holds."""
    found = last_result(name)
    return {key: found[key] for key in keys if key in found}


def last_result(name: str) -> dict[str, Any]:
    """Return what benchmarks/results/<name>.json holds; nothing where there is none."""
    file = RESULTS / f"{name}.json"
    found: dict[str, Any] = read_json(file) if file.is_file() else {}
    return found


def commit() -> str:
    """Return the last commit that changed the method, with a plus where it differs from that."""

    def git(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True)

    differs = git("diff", "--quiet", "HEAD", "--", *METHOD).returncode
    return git("log", "-1", "--format=%h", "--", *METHOD).stdout.strip() + "+" * differs


def machine() -> dict[str, Any]:
    """Describe this machine: processor, cores, memory, versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": names[0] if names else platform.processor(),
        "bfloat16": any("avx512_bf16" in line for line in lines),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "python": platform.python_version(),
    }
