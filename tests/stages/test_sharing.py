"""A teammate without a GPU: the DAG as it is shipped, but each stage only writes its files.

What is tested is which stages share what, so that the stages' own work may be left out;
`test_pipeline.py` trains another student with it.
"""

import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from tests.conftest import ROOT
from tests.git import git

PHASES = ["distill@phase-1", "distill@phase-2", "distill@phase-3"]


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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose run is committed and pushed to a remote beside it."""
    folder = tmp_path_factory.mktemp("shared") / "project"
    folder.mkdir()
    shutil.copytree(ROOT / "data" / "tasks", folder / "data" / "tasks")
    for name in ("params.yaml", ".dvcignore", ".gitignore", "data/.gitignore"):
        shutil.copy(ROOT / name, folder / name)
    dag = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    (folder / "dvc.yaml").write_text(yaml.safe_dump(_without_work(dag), sort_keys=False))
    git(folder, "init", "--quiet")
    with chdir(folder):
        Repo.init().close()
        remote = f"['remote \"shared\"']\n    url = {folder.parent}/remote\n"
        Path(".dvc/config").write_text(f"[core]\n    remote = shared\n{remote}")
        with Repo() as repo:
            ran = repo.reproduce()
            assert len(ran) == len(dag["stages"]) - 1 + len(PHASES)
            repo.push()
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "run")
    return folder


@pytest.fixture
def teammate(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of it that has no data yet."""
    git(tmp_path, "clone", "--quiet", str(shared), "clone")
    monkeypatch.chdir(tmp_path / "clone")
    assert not Path("data/signals").exists()
    return tmp_path / "clone"


def _ran(**options: bool) -> list[str]:
    with Repo() as repo:
        return [stage.addressing for stage in repo.reproduce(**options)]


def test_a_checkout_without_data_is_up_to_date(teammate: Path) -> None:
    assert _ran(dry=True, allow_missing=True) == []


@pytest.mark.slow
def test_another_student_needs_of_the_teacher_only_what_it_has_said(teammate: Path) -> None:
    with Repo() as repo:
        repo.pull(targets=["teacher-label"])
    assert Path("data/signals/file").is_file()
    assert not Path("data/models").exists()
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["adapter"]["r"] *= 2
    Path("params.yaml").write_text(yaml.safe_dump(params))
    assert _ran(pull=True, allow_missing=True) == [*PHASES, "evaluate", "signal"]
    assert not Path("data/raw").exists()  # what no student reads is not even downloaded
