"""prompt: what it leaves behind, what a second search costs, and what a pin does to it."""

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from akd.cli.app import app
from akd.errors import InputError
from akd.io import read_json, read_json_lines, write_json, write_table
from akd.params import load
from akd.prompts import store
from akd.prompts.pin import pin_of, write_pins
from akd.records import CLEAN, FILTERED
from akd.teacher import engine
from stages import prompt
from tests.conftest import ROOT, SENTENCES, article, clean_articles

TASK = Path("data/tasks/crisis")


@pytest.fixture
def project(teacher_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stages before prompt leave behind, where dvc.yaml says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AKD_DTYPE", "float32")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    Path("data/models").mkdir(parents=True)
    teacher_folder.rename("data/models/teacher")
    TASK.mkdir(parents=True)
    task = yaml.safe_load((ROOT / TASK / "task.yaml").read_text())
    task["prompt"]["verbalizers"] = [["danger", "advice", "harmless"], ["bad", "news", "good"]]
    task["name"] = "not that of its folder, by which params.yaml knows a task"
    (TASK / "task.yaml").write_text(yaml.safe_dump(task))
    names = [label["name"] for label in task["labels"]]
    shots = [{"id": f"n{n}", "label": names[n % 3]} for n in range(9)]
    (TASK / "shots.jsonl").write_text("".join(json.dumps(shot) + "\n" for shot in shots))
    rows = [article(f"n{n}", f"{SENTENCES[n % 5]} {n} {SENTENCES[n % 4]}") for n in range(17)]
    clean = clean_articles(*rows)
    write_table(Path("data/clean/articles"), clean, CLEAN)
    relevant = clean[9:].with_columns(domain_score=0.5, signal_score=0.5)
    write_table(Path("data/filtered/articles"), relevant.match_to_schema(FILTERED), FILTERED)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    set_prompt(budget=6, unlabelled=4)
    return tmp_path


def set_prompt(**changes: Any) -> None:
    """Change `prompt` of params.yaml, and let little be read of an article."""
    raw = yaml.safe_load(Path("params.yaml").read_text())
    raw["label"].update(article_tokens=24)
    raw["prompt"].update(changes)
    raw["prompt"]["calibration"].update(articles=8)
    Path("params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))


def run_prompt(name: str = "prompt") -> dict[str, bytes]:
    """Run the stage; return all that it has written."""
    data, out = Path("data"), Path("data") / name
    paths = (TASK, data / "clean", data / "filtered", data / "models", out)
    prompt.main(*paths, Path(name) / "metrics.json", Path(name))
    return {path.name: path.read_bytes() for path in [*out.iterdir(), *Path(name).iterdir()]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prompts under which the teacher reads any text, one for each list of texts."""
    found: list[str] = []
    build = engine.transformers_teacher

    def counted(*models: Any, **rest: Any) -> Any:
        found.append(rest["prompt"].model_dump_json())
        return build(*models, **rest)

    monkeypatch.setattr(engine, "transformers_teacher", counted)
    return found


def test_a_second_search_asks_the_teacher_nothing(project: Path, asked: list[str]) -> None:
    first = run_prompt()
    assert len(set(asked)) == 6
    asked.clear()
    assert run_prompt("again") == first
    assert not asked
    set_prompt(budget=8)
    run_prompt("more")
    nodes = read_json_lines(Path("data/more/tree.jsonl"))
    assert len(nodes) == 8
    old = {json.dumps(row["prompt"]) for row in read_json_lines(Path("data/prompt/tree.jsonl"))}
    new = [row for row in nodes if json.dumps(row["prompt"]) not in old]
    assert 0 < len(set(asked)) <= len(new) + 1  # the winner may have to read more articles


def test_tree_plots_and_metrics_tell_of_one_search(project: Path) -> None:
    run_prompt()
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["prompt"]
    drawn = {Path(next(iter(plot))).name for plot in stage["plots"]}
    assert drawn == {path.name for path in Path("prompt").glob("*.csv")}
    nodes = read_json_lines(Path("data/prompt/tree.jsonl"))
    metrics = read_json(Path("prompt/metrics.json"))
    assert metrics["prompts_scored"] == len(nodes) == 6
    assert metrics["pinned"] is False
    assert pl.read_csv("prompt/tree.csv").height == pl.read_csv("prompt/search.csv").height == 6
    assert nodes[0]["operator"] == "seed"
    assert nodes[0]["sensitivity"] > 0
    seed = pl.read_csv("prompt/confusion_seed.csv")
    assert seed.height == 9
    right = (seed["actual"] == seed["predicted"]).mean()
    assert right == pytest.approx(nodes[0]["accuracy"])
    assert metrics["seed"]["accuracy"] == pytest.approx(right, abs=1e-6)
    adapted = store.load(Path("data/prompt"))
    shown = len(adapted.prompt.demonstrations)
    assert pl.read_csv("prompt/confusion_best.csv").height == 9 - shown


def test_a_pin_is_what_the_stage_adapts(project: Path, asked: list[str]) -> None:
    run_prompt()
    searched = store.load(Path("data/prompt")).prompt
    pin = pin_of(searched).model_copy(update={"instruction": "Read: {labels}?", "shots": ["n4"]})
    write_pins(Path("params.yaml"), {"crisis": pin})
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["prompt"]
    assert "prompt" in stage["params"]  # DVC sees the pin, all of it
    asked.clear()
    run_prompt()
    adapted = store.load(Path("data/prompt"))
    assert adapted.pinned
    assert pin_of(adapted.prompt) == pin
    assert [row["operator"] for row in read_json_lines(Path("data/prompt/tree.jsonl"))] == [
        "seed",
        "pin",
    ]
    assert read_json(Path("prompt/metrics.json"))["pinned"] is True
    assert len(set(asked)) == 1
    write_pins(Path("params.yaml"), {})
    run_prompt()
    assert store.load(Path("data/prompt")).prompt == searched


def _akd(*command: str) -> str:
    """Run `akd prompt ...`; return what it prints."""
    done = CliRunner().invoke(app, ["prompt", *command], env={"COLUMNS": "200"})
    if done.exception is not None:
        raise done.exception
    return done.output


def test_show_prints_each_prompt_under_its_parent(project: Path) -> None:
    run_prompt()
    lines = _akd("show").splitlines()
    rows = read_json_lines(Path("data/prompt/tree.jsonl"))
    assert len(lines) == 1 + len(rows)
    for row in rows:
        [line] = [line for line in lines if f"#{row['number']} " in line]
        assert f"{row['operator']} {row['score']:.3f}" in line
        assert f"accuracy {row['accuracy']:.2f}" in line
    assert sum("(taken)" in line for line in lines) == 1


def test_a_try_is_measured_as_the_search_measures(project: Path) -> None:
    run_prompt()
    rows = read_json_lines(Path("data/prompt/tree.jsonl"))
    [other] = [row for row in rows if row["prompt"]["words"] == ["bad", "news", "good"]][:1]
    printed = _akd("try", "--from-tree", str(other["number"]))
    [line] = [line for line in printed.splitlines() if "yours" in line]
    figures = [f"{other[name]:.3f}" for name in ("log_probability", "mutual_information")]
    assert all(figure in line for figure in [*figures, f"{other['accuracy']:.3f}"])
    assert f" {len(other['shot_labels'])} " in line
    Path("mine.yaml").write_text("shots: [n4, n7]\n")
    shown = {one.shot for one in store.load(Path("data/prompt")).prompt.demonstrations}
    left = len(rows[0]["shot_labels"]) - len({"n4", "n7"} | shown)
    compared = [line for line in _akd("try", "mine.yaml").splitlines() if "│" in line]
    assert [f" {left} " in line for line in compared] == [True, True]
    changed = _akd("try", "--words", "danger, news, good", "--cue", r"\nIt is")
    assert "adapted" in changed
    assert changed != printed
    with pytest.raises(InputError, match="give it one distinct word for each"):
        _akd("try", "--words", "danger, good")


def test_prompts_of_an_earlier_version_are_told(project: Path) -> None:
    run_prompt()
    file = Path("data/prompt/prompt.json")
    content = read_json(file)
    shown = [{"shot": 3, "text": "Fire.", "label": 0}]  # shots had numbers once
    write_json(file, {**content, "prompt": {**content["prompt"], "demonstrations": shown}})
    with pytest.raises(InputError, match="holds prompts of another version of akd: run its stage"):
        _akd("show")


def test_a_prompt_is_pinned_and_unpinned_from_the_command_line(project: Path) -> None:
    run_prompt()
    free = Path("params.yaml").read_text()
    searched = pin_of(store.load(Path("data/prompt")).prompt)
    Path("mine.yaml").write_text("instruction: 'Say {labels}.'\nshots: []\n")
    _akd("pin", "mine.yaml")
    pins = load().prompt.pins
    assert pins == {
        "crisis": searched.model_copy(update={"instruction": "Say {labels}.", "shots": []})
    }
    _akd("pin", "--from-tree", "1")
    [row] = read_json_lines(Path("data/prompt/tree.jsonl"))[1:2]
    assert load().prompt.pins["crisis"].words == row["prompt"]["words"]
    _akd("unpin")
    assert Path("params.yaml").read_text() == free
    Path("mine.yaml").write_text("order: [0, 1]\n")
    adapted = Path("data/prompt/prompt.json")
    of_this_task, other = adapted.read_text(), json.loads(adapted.read_text())
    write_json(adapted, {**other, "labels": ["one", "two"]})
    for given in (["pin", "--from-tree", "1"], ["try", "--cue", "It is"]):
        with pytest.raises(InputError, match="of the labels one, two, but the task crisis has"):
            _akd(*given)
    adapted.write_text(of_this_task)
    for command, told in (
        (["unpin"], "crisis has no pinned prompt"),
        (["pin"], "name a file, or a prompt of the tree"),
        (["pin", "--from-tree", "99"], "has no prompt 99: name one of 0 to 5"),
        (["pin", "mine.yaml"], "name each of 0 to 2 once"),
        (["show", "--folder", "nowhere"], "nowhere/tree.jsonl does not exist"),
    ):
        with pytest.raises(InputError, match=told):
            _akd(*command)
    assert Path("params.yaml").read_text() == free
