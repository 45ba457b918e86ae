"""The main job after installation: wall time and peak memory of `dvc repro`, and of doing nothing.

    python -m benchmarks.main_job

Runs in a fresh clone with `--force` and without the run cache, so that every stage does its work,
and then brings dvc.lock and metrics/ into the project: what is committed there is what was timed.
"""

import resource
import shutil
import time
from pathlib import Path

import typer
import yaml

from akd.console import guard
from benchmarks.clone import ROOT, fresh_clone, run, write_result


def main() -> None:
    """Run the DAG from nothing and once again; write main_job.json, dvc.lock and metrics/."""
    before = _outputs(ROOT)
    with fresh_clone(shared_cache=True) as clone:
        wall = _timed(clone, "--force")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        noop = _timed(clone)
        after = _outputs(clone)
        shutil.copy(clone / "dvc.lock", ROOT / "dvc.lock")
        shutil.copytree(clone / "metrics", ROOT / "metrics", dirs_exist_ok=True)
    result = {
        "wall_s": round(wall, 1),
        "peak_gib": round(peak, 2),
        "noop_s": round(noop, 2),
        "outputs": len(after),
        "outputs_equal_to_the_lock_before": len(before.items() & after.items()),
        "n": 1,
        "seed": 42,
    }
    write_result("main_job", "python -m benchmarks.main_job", result)


def _timed(clone: Path, *options: str) -> float:
    start = time.perf_counter()
    run(clone, ["dvc", "repro", "--no-run-cache", *options])
    return time.perf_counter() - start


def _outputs(project: Path) -> dict[str, str]:
    """Return the hash of every output in dvc.lock."""
    stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}


if __name__ == "__main__":
    guard(lambda: typer.run(main))
