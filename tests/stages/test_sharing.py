"""A teammate without data: the DAG as it is shipped, but each stage only writes its files.

What is tested is that nothing wants to run, so that the stages' own work may be left out;
`test_pipeline.py` trains another student without asking the teacher.
"""

import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo

from tests.conftest import ROOT
from tests.git import git


def _without_work(dag: dict[str, Any]) -> dict[str, Any]:
    """Return the DAG without code: each stage writes the parameters' checksum into its outputs."""
    stages = [stage.get("do", stage) for stage in dag["stages"].values()]
    for stage in stages:
        stage["deps"] = [dep for dep in stage["deps"] if not dep.endswith(".py")]
    read = {Path(dep) for stage in stages for dep in stage["deps"]}
    for stage in stages:
        named = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
        outs = [Path(out if isinstance(out, str) else next(iter(out))) for out in named]
        places = [*outs, *(path for path in read for out in outs if out in path.parents)]
        files = [place if place.suffix else place / "file" for place in sorted(places)]
        stage["cmd"] = [f"mkdir -p {f.parent} && cksum < params.yaml > {f}" for f in files]
    return {"stages": dag["stages"]}


def test_a_checkout_without_data_is_up_to_date(tmp_path: Path) -> None:
    project, clone = tmp_path / "project", tmp_path / "clone"
    shutil.copytree(ROOT / "data" / "tasks", project / "data" / "tasks")
    for name in ("params.yaml", ".dvcignore", ".gitignore", "data/.gitignore"):
        shutil.copy(ROOT / name, project / name)
    dag = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    (project / "dvc.yaml").write_text(yaml.safe_dump(_without_work(dag), sort_keys=False))
    git(project, "init", "--quiet")
    with chdir(project):
        Repo.init().close()
        with Repo() as repo:
            assert "distill@phase-3" in [stage.addressing for stage in repo.reproduce()]
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "run")
    git(tmp_path, "clone", "--quiet", str(project), str(clone))
    assert not (clone / "data" / "signals").exists()
    with chdir(clone), Repo() as repo:
        assert repo.reproduce(dry=True, allow_missing=True) == []
