"""The main job after installation: wall time and peak memory of `dvc repro`, and of doing nothing.

python -m benchmarks.main_job
"""

import resource
import time
from pathlib import Path

import yaml

from benchmarks.clone import ROOT, fresh_clone, run, write_result


def main() -> None:
    """Run the DAG from nothing and once again; write benchmarks/results/main_job.json."""
    committed = _outputs(ROOT)
    with fresh_clone(shared_cache=False) as clone:
        wall = _timed(clone)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        noop = _timed(clone)
        result = {
            "wall_s": round(wall, 1),
            "peak_gib": round(peak, 2),
            "noop_s": round(noop, 2),
            # the committed lock is that of an earlier run, on this machine or another
            "outputs": len(committed),
            "outputs_equal_to_committed": len(committed.items() & _outputs(clone).items()),
            "n": 1,
            "seed": 42,
        }
    write_result("main_job", "python -m benchmarks.main_job", result)


def _timed(clone: Path) -> float:
    start = time.perf_counter()
    run(clone, ["dvc", "repro"])
    return time.perf_counter() - start


def _outputs(clone: Path) -> dict[str, str]:
    """Return the hash of every output in dvc.lock."""
    stages = yaml.safe_load((clone / "dvc.lock").read_text())["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}


if __name__ == "__main__":
    main()
