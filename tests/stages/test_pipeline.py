"""The whole DAG on the embedded model and a few dozen real articles, then experiments."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pytest
import yaml
from transformers import PreTrainedTokenizerFast

from tests.conftest import ROOT, tiny_model
from tests.stages.small_project import change

pytestmark = pytest.mark.slow

SMALL = {
    "filter.max_articles": 24,
    "prompt.budget": 2,
    "prompt.unlabelled": 6,
    "prompt.calibration.articles": 16,
    "label.article_tokens": 24,
    "label.shard_articles": 8,
    "evaluate.resamples": 50,
    "signal.articles": 8,
    "fetch.max_articles_per_source": 120,
    "filter.domain.threshold": 0.05,
    "filter.signal.threshold": 0.05,
}
PHASES = ["distill@phase-1", "distill@phase-2", "distill@phase-3"]


def _run(clone: Path, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(clone)}
    environment.pop("DVC_ROOT", None)
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
    if check:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def _ran(done: subprocess.CompletedProcess[str]) -> list[str]:
    lines = [line for line in done.stdout.splitlines() if line.startswith("Running stage '")]
    return [line.split("'")[1] for line in lines]


def _outputs(clone: Path) -> dict[str, str]:
    lock = yaml.safe_load((clone / "dvc.lock").read_text())["stages"]
    return {out["path"]: out["md5"] for stage in lock.values() for out in stage["outs"]}


def _annotate(clone: Path, task: str, ids: Sequence[str], count: int) -> None:
    """Keep those shipped annotations whose article is among the few that are fetched."""
    folder = clone / "data" / "tasks" / task
    rows = [
        json.loads(line)
        for name in ("shots", "gold")
        for line in (folder / f"{name}.jsonl").read_text().splitlines()
    ]
    here = [row for row in rows if row["id"] in set(ids)]
    shots: list[dict[str, str]] = []
    for label in sorted({row["label"] for row in here}):
        shots += [row for row in here if row["label"] == label][:2]
    gold = [row for row in here if row not in shots][:count]
    for name, chosen in (("shots", shots), ("gold", gold)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chosen))


def _fetched(clone: Path, task: str) -> list[str]:
    folder = f"data/tasks/{task}"
    _run(
        clone, "python", "-m", "stages.fetch", "--task", f"{folder}/task.yaml",
        "--domains", f"{folder}/domains.yaml", "--files", f"{folder}/articles",
        "--out", "fetched", "--metrics", "fetched.json",
    )  # fmt: skip
    ids = pl.read_parquet(clone / "fetched" / "articles")["id"].to_list()
    shutil.rmtree(clone / "fetched")
    (clone / "fetched.json").unlink()
    return ids


@pytest.fixture(scope="module", autouse=True)
def path(warm: Path) -> Iterator[None]:
    """Commands of this environment; stages start without importing the libraries anew."""
    with pytest.MonkeyPatch.context() as patch:
        folders = [str(warm), str(Path(sys.executable).parent), os.environ["PATH"]]
        patch.setenv("PATH", os.pathsep.join(folders))
        yield


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """The project in a repository of its own, with small parameters and a tiny second pair."""
    clone = tmp_path_factory.mktemp("pipeline") / "akd"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", ".akd", "cache", "tmp", "raw", "clean", "models", "keywords", "relevance",
        "filtered", "prompt", "signals", "predictions", "alerts", "phase-*", "dvc.lock", "results",
        "*cache*",
    )  # fmt: skip
    for name in ("akd", "stages", "data", "metrics", ".dvc"):
        if name in ("akd", "stages"):
            shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("*cache*"))
        else:
            shutil.copytree(ROOT / name, clone / name, ignore=ignored)
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore", "pyproject.toml"):
        shutil.copy(ROOT / name, clone / name)
    shutil.rmtree(clone / "data" / "adapters" / "student", ignore_errors=True)
    tiny_model("llama").save_pretrained(clone / "tiny")
    tokenizer.save_pretrained(clone / "tiny")
    tiny = {
        "teacher": {"kind": "local", "path": "tiny"},
        "student": {"kind": "pruned", "of": "teacher", "layers": [0, 1]},
    }
    change(clone / "params.yaml", **SMALL, **{"pairs.tiny": tiny})
    for task, count in (("crisis", 16), ("bbc-topics", 16)):
        _annotate(clone, task, _fetched(clone, task), count)
    _run(clone, "git", "init", "--quiet")
    _run(clone, "git", "config", "user.email", "test@localhost")
    _run(clone, "git", "config", "user.name", "test")
    _run(clone, "git", "add", "--all")
    _run(clone, "git", "commit", "--quiet", "--message", "small")
    return clone


@pytest.fixture(scope="module")
def reproduced(clone: Path) -> Path:
    """The clone after one run of the embedded model, committed."""
    done = _run(clone, "dvc", "repro")
    assert _ran(done)[0] == "fetch"
    _run(clone, "git", "add", "--all")
    _run(clone, "git", "commit", "--quiet", "--message", "run")
    return clone


def test_the_main_job_ends_in_a_table_alerts_and_pictures(reproduced: Path) -> None:
    report = json.loads((reproduced / "metrics" / "evaluate.json").read_text())
    assert (report["task"], report["pair"], report["n"]) == ("crisis", "smollm2", 16)
    resources = json.loads((reproduced / "metrics" / "resources.json").read_text())
    assert 0 < resources["adapter_mb"] < 10
    assert 0 < resources["trainable_share"] < 0.05
    assert {"teacher", "student_base", "student", "tfidf", "gap"} <= set(report)
    alerts = (reproduced / "data" / "alerts" / "alerts.jsonl").read_text().splitlines()
    assert {"id", "title", "label", "confidence", "severity"} <= set(json.loads(alerts[0]))
    assert "TF-IDF" in _run(reproduced, sys.executable, "-m", "akd.cli", "results").stdout
    _run(reproduced, "dvc", "plots", "show")
    page = (reproduced / "dvc_plots" / "index.html").read_text()
    for picture in (
        "Confusion of the student",
        "Loss of phase-3",
        "Reliability",
        "Prompt search",
        "Prompts that were tried",
        "Confusion of the best prompt",
        "Kept share",
    ):
        assert picture in page


def test_the_student_says_of_articles_in_files_what_its_alerts_say(
    reproduced: Path, tmp_path: Path
) -> None:
    lines = (reproduced / "data/alerts/alerts.jsonl").read_text().splitlines()
    alerts = {row["id"]: row for row in map(json.loads, lines)}
    clean = pl.read_parquet(reproduced / "data/clean/articles/*.parquet")
    asked = clean.filter(pl.col("id").is_in(list(alerts))).sort("id")
    columns = {"number": asked["id"], "subject": asked["title"], "body": asked["text"]}
    empty = pl.DataFrame({"number": ["none"], "subject": [""], "body": [" "]})
    pl.concat([pl.DataFrame(columns), empty]).write_csv(tmp_path / "new[1].csv")
    done = _run(
        reproduced, sys.executable, "-m", "akd.cli", "predict", str(tmp_path / "new[1].csv"),
        "--id", "number", "--title", "subject", "--text", "body", "--out", str(tmp_path / "said"),
    )  # fmt: skip
    said = [json.loads(line) for line in (tmp_path / "said").read_text().splitlines()]
    assert [row["id"] for row in said] == asked["id"].to_list()
    for row in said:
        alert = alerts[row["id"]]
        assert (row["label"], row["severity"]) == (alert["label"], alert["severity"])
        assert row["confidence"] == pytest.approx(alert["confidence"], abs=1e-3)
        assert row["probabilities"][row["label"]] == row["confidence"]
        assert sum(row["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
    assert f"{len(said) + 1} rows: {len(said)} in" in done.stdout
    assert "1 left out" in done.stdout
    assert f"row {len(said) + 1}: neither title nor text" in done.stderr


def test_rows_in_are_rows_kept_and_rejected(reproduced: Path) -> None:
    for stage in ("fetch", "clean", "filter"):
        counts = json.loads((reproduced / "metrics" / f"{stage}.json").read_text())
        assert counts["rows_in"] == counts["kept"] + counts["rejected"]
        assert counts["rejected"] == sum(counts["reasons"].values())


def test_a_second_run_does_nothing(reproduced: Path) -> None:
    assert _ran(_run(reproduced, "dvc", "repro")) == []


def test_gold_and_shots_never_reach_the_teacher(reproduced: Path) -> None:
    taught = set(pl.read_parquet(reproduced / "data/signals/scores/*.parquet")["id"])
    for name in ("shots", "gold"):
        rows = (reproduced / f"data/tasks/crisis/{name}.jsonl").read_text().splitlines()
        assert not taught & {json.loads(row)["id"] for row in rows}


def test_another_rank_runs_the_phases_and_what_follows(reproduced: Path) -> None:
    done = _run(reproduced, "dvc", "exp", "run", "-S", "adapter.r=4")
    assert _ran(done) == [*PHASES, "evaluate", "signal"]
    _run(reproduced, "git", "checkout", "--quiet", ".")


def test_a_student_that_is_taught_reasons_is_asked_for_them(
    reproduced: Path, tmp_path: Path
) -> None:
    taught = ["label.rationales.share=0.5", "+distill.phases.phase-3.losses.rationale=0.5"]
    _run(reproduced, "dvc", "exp", "run", *(part for change in taught for part in ("-S", change)))
    loss = pl.read_csv(reproduced / "metrics" / "loss" / "phase-3.csv")["rationale"]
    assert loss.is_finite().all()  # of twelve reasons, each step has others
    assert loss.min() > 0
    file, out = tmp_path / "new.jsonl", tmp_path / "said.jsonl"
    file.write_text(json.dumps({"text": "A storm has flooded two villages near the coast."}))
    _run(
        reproduced, sys.executable, "-m", "akd.cli", "predict", str(file), "--reasons",
        "--out", str(out),
    )  # fmt: skip
    assert isinstance(json.loads(out.read_text())["reason"], str | None)
    _run(reproduced, "git", "checkout", "--quiet", ".")


def test_a_teammate_trains_another_student_without_asking_the_teacher(
    reproduced: Path, tmp_path: Path
) -> None:
    remote, mate = tmp_path / "remote", tmp_path / "mate"
    _run(reproduced, "dvc", "remote", "add", "--local", "--default", "shared", str(remote))
    _run(reproduced, "dvc", "push")
    _run(reproduced, "dvc", "remote", "remove", "--local", "shared")
    _run(tmp_path, "git", "clone", "--quiet", str(reproduced), str(mate))
    _run(mate, "dvc", "remote", "add", "--local", "--default", "shared", str(remote))
    assert not (mate / "data" / "signals").exists()
    _run(mate, "dvc", "pull", "teacher-label")
    assert not (mate / "data" / "models").exists()
    change(mate / "params.yaml", **{"adapter.r": 8})
    done = _run(mate, "dvc", "repro", "--pull", "--allow-missing")
    assert _ran(done) == [*PHASES, "evaluate", "signal"]
    assert not (mate / "data" / "raw").exists()
    figures = json.loads((mate / "metrics" / "evaluate.json").read_text())
    assert figures["n"] == 16
    gate = _run(mate, sys.executable, "-m", "akd.cli", "gate", "HEAD", "--json", check=False)
    assert gate.returncode in (0, 1), gate.stderr
    assert json.loads(gate.stdout)["base"] == "HEAD"


def test_another_threshold_runs_no_model_before_the_teacher(reproduced: Path) -> None:
    change(reproduced / "params.yaml", **{"filter.domain.threshold": 0.06})
    ran = _ran(_run(reproduced, "dvc", "repro", "--dry"))
    assert ran[0] == "filter"
    assert not {"keywords", "relevance"} & set(ran)
    _run(reproduced, "git", "checkout", "--quiet", ".")


def test_an_unknown_pair_is_a_clear_error(reproduced: Path) -> None:
    done = _run(reproduced, "dvc", "exp", "run", "-S", "pair=nope", check=False)
    assert done.returncode != 0
    assert "nope" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    _run(reproduced, "git", "checkout", "--quiet", ".")


def test_another_task_and_pair_compare_with_the_first(reproduced: Path) -> None:
    _run(
        reproduced, "dvc", "exp", "run", "-n", "topics", "-S", "task=bbc-topics", "-S", "pair=tiny"
    )
    first = _outputs(reproduced)
    shown = _run(reproduced, "dvc", "metrics", "diff", "HEAD", "topics", "--all", "--md").stdout
    assert "student.accuracy" in shown
    assert "bbc-topics" in shown
    _run(reproduced, "dvc", "repro", "--force")
    assert _outputs(reproduced) == first
