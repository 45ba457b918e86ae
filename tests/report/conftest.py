"""A made-up project, small enough to check by hand, with hostile words of strangers."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from akd.io import write_json, write_json_lines, write_table, write_text
from akd.records import CLEAN
from tests.conftest import article, clean_articles

HOSTILE = "</title></svg><script>document.title='owned'</script><img src=x onerror=alert(1)> & \"'"
LABELS = ("risk and warning", "caution and advice", "safe and harmless")


def _model(accuracy: float) -> dict[str, Any]:
    bounds = {"low": accuracy - 0.1, "high": accuracy + 0.1}
    return {"accuracy": accuracy, "ece": 0.1, "interval": {"accuracy": bounds, "ece": bounds}}


def evaluation() -> dict[str, Any]:
    """Return an evaluate.json in which the student beats the teacher and not TF-IDF."""
    models = {"teacher": 0.4, "student_base": 0.3, "student": 0.6, "tfidf": 0.7}
    return {
        "task": "mine",
        "pair": "tiny",
        "n": 5,
        **{name: _model(accuracy) for name, accuracy in models.items()},
        "gap": {
            "student_minus_teacher": {"accuracy": 0.2, "low": 0.1, "high": 0.3},
            "student_minus_tfidf": {"accuracy": -0.1, "low": -0.2, "high": 0.05},
        },
        "by_domain": {HOSTILE: {"n": 3, **models}, "world": {"n": 12, **models}},
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of whose run every table is there."""
    metrics = tmp_path / "metrics"
    write_json(metrics / "evaluate.json", evaluation())
    write_json(metrics / "resources.json", {"peak_gib": 1.5, "estimated_energy_wh": 0.25})
    rows = {"rows_in": 9, "kept": 4, "rejected": 5, "kept_share": 0.4444}
    write_json(metrics / "filter.json", {**rows, "reasons": {"off_domain": 5}})
    risk, caution, _ = LABELS
    tables = {
        "confusion": f"actual,predicted\n{risk},{caution}\n{risk},{caution}\n{caution},{caution}\n",
        "reliability": "model,confidence,accuracy,articles\nteacher,0.5,0.4,3\nstudent,0.9,1,2\n",
        "prompt/search": "call,score,best\n1,-0.9,-0.9\n2,-0.5,-0.5\n",
        "loss/phase-1": "step,loss\n1,0.9\n2,NaN\n3,0.5\n",
        "domains/phase-1": "step,domain,weight,student_loss,teacher_loss\n"
        "0,world,0.5,1.0,0.5\n0,sport,0.5,0.6,0.5\n4,world,0.7,0.8,0.5\n4,sport,0.3,0.5,0.5\n",
        "kept/language": "language,articles,kept,kept_share\nen,6,3,0.5\nzh,3,1,0.3333\n",
        "errors": "id,gold,teacher,student,confidence,domain,language\n"
        "a1,risk and warning,risk and warning,caution and advice,0.6,world,en\n"
        "a2,risk and warning,caution and advice,caution and advice,0.9,world,en\n"
        "own,safe and harmless,caution and advice,caution and advice,0.7,,\n",
    }
    for name, text in tables.items():
        write_text(metrics / f"{name}.csv", text)
    clean = clean_articles(article("a1", "The body of one.", title=HOSTILE),
                           article("a2", f"{HOSTILE} and a body.", title="Two"),
                           article("a3", "Nobody errs here."))  # fmt: skip
    write_table(tmp_path / "data" / "clean" / "articles", clean, CLEAN)
    own = {"id": "own", "label": LABELS[2], "title": "Brought", "text": "along by gold"}
    write_json_lines(tmp_path / "data" / "tasks" / "mine" / "gold.jsonl", [own])
    _prompt(tmp_path / "data" / "prompt")
    _record(tmp_path)
    return tmp_path


def _prompt(folder: Path) -> None:
    prompts = [{"instruction": HOSTILE, "article": "News: ", "cue": cue, "words": ["bad", "good"]}
               for cue in ("\nThis is", "\nIt is", "\nAnswer:")]  # fmt: skip
    steps = ((0, -1, "seed", -0.9), (1, 0, "cue", -0.5), (2, 1, "cue", -0.7))
    rows = [
        {"number": number, "parent": parent, "operator": operator, "prompt": prompts[number],
         "score": score, "log_probability": score, "agreement": 0.0,
         "mutual_information": 0.0, "accuracy": 0.5}
        for number, parent, operator, score in steps
    ]  # fmt: skip
    write_json_lines(folder / "tree.jsonl", rows)
    write_json(folder / "prompt.json", {"prompt": prompts[1]})


def _record(root: Path) -> None:
    lock = {
        "schema": "2.0",
        "stages": {
            "evaluate": {
                "cmd": "python -m stages.evaluate",
                "deps": [{"path": "data/tasks/mine/gold.jsonl", "md5": "0f" * 16, "size": 70}],
                "params": {"params.yaml": {"task": "mine", "pair": "tiny", "adapter": {"r": 8},
                                           "evaluate": {"confidence": 0.9}}},
                "outs": [{"path": "data/predictions", "md5": "ab" * 16 + ".dir", "size": 2100}],
            }
        },
    }  # fmt: skip
    write_text(root / "dvc.lock", yaml.safe_dump(lock))
    now = {"task": "mine", "pair": "tiny", "adapter": {"r": 16}, "evaluate": {"confidence": 0.9}}
    write_text(root / "params.yaml", json.dumps(now))
