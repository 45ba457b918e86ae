"""The headline, its tables, the baseline and the alerts."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from akd.cli import app
from akd.corpus.examples import with_texts
from akd.errors import InputError
from akd.evaluate import compare
from akd.evaluate.alerts import alerts, newest
from akd.evaluate.baseline import tfidf_probabilities
from akd.io import write_json, write_table
from akd.records import CLEAN, PREDICTION, REJECTED
from akd.task import Example, Label, Severity
from tests.conftest import SENTENCES, article, clean_articles

GOLD = np.array([0, 1, 2, 0, 1, 2] * 10)
RIGHT = np.eye(3)[GOLD] * 0.8 + 0.2 / 3
WRONG = np.eye(3)[(GOLD + 1) % 3] * 0.8 + 0.2 / 3
MODELS = {"teacher": WRONG, "student_base": WRONG, "student": RIGHT, "tfidf": RIGHT}


def _headline() -> dict:
    return compare.headline(GOLD, MODELS, bins=10, resamples=50, confidence=0.95, seed=1)


def test_the_headline_has_every_model_metric_and_gap() -> None:
    report = _headline()
    for model in compare.MODELS:
        for metric in ("accuracy", "macro_f1", "sensitivity", "specificity", "ece"):
            bounds = report[model]["interval"][metric]
            assert bounds["low"] <= report[model][metric] <= bounds["high"]
    assert report["student"]["accuracy"] == 1.0
    assert report["gap"]["student_minus_teacher"] == {"accuracy": 1.0, "low": 1.0, "high": 1.0}
    assert report["gap"]["student_minus_tfidf"]["accuracy"] == 0.0
    json.dumps(report, allow_nan=False)


def test_plot_tables() -> None:
    names = ["x", "y", "z"]
    confusion = compare.confusion_table(GOLD, RIGHT, names)
    assert confusion.filter(pl.col("actual") == pl.col("predicted")).height == 60
    reliability = compare.reliability_table(GOLD, MODELS, 10)
    assert dict(reliability.select("model", "accuracy").rows()) == {"teacher": 0.0, "student": 1.0}
    table = compare.prediction_table([str(n) for n in range(60)], GOLD, MODELS, names)
    assert table.schema == PREDICTION
    assert table.height == 240
    groups = compare.by_group(GOLD, MODELS, ["en"] * 40 + ["zh"] * 20)
    assert (groups["en"]["n"], groups["zh"]["student"]) == (40, 1.0)


def test_the_command_line_prints_the_table(tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", {"task": "t", "pair": "p", "n": 60, **_headline()})
    shown = CliRunner().invoke(app, ["results", "--metrics", str(tmp_path / "m.json")])
    assert shown.exit_code == 0
    assert "student minus teacher: +1.000" in shown.output
    assert "TF-IDF" in shown.output


def test_tfidf_learns_the_labels_it_is_given() -> None:
    texts = [f"storm flood fire {n}" for n in range(9)] + [f"match team goal {n}" for n in range(9)]
    found = tfidf_probabilities(texts, [2] * 9 + [0] * 9, ["a flood and a fire", "the team"], 3)
    assert found.argmax(1).tolist() == [2, 0]
    assert (found[:, 1] == 0).all()
    assert tfidf_probabilities(texts, [1] * 18, ["x"], 3).tolist() == [[0.0, 1.0, 0.0]]


def _clean_folder(tmp_path: Path) -> Path:
    kept = clean_articles(*(article(f"n{i}", text) for i, text in enumerate(SENTENCES)))
    row = {**article("gone", "text"), "reason": "near_duplicate", "detail": "n0"}
    write_table(tmp_path / "articles", kept, CLEAN)
    write_table(tmp_path / "rejected", pl.DataFrame([row], schema=REJECTED), REJECTED)
    return tmp_path


def test_examples_take_their_text_from_the_articles_or_bring_it(tmp_path: Path) -> None:
    examples = [
        Example(id="n1", label="a"),
        Example(id="own", label="b", title="T", text="<b>x</b>"),
    ]
    table = with_texts(examples, _clean_folder(tmp_path), 100)
    assert table["text"].to_list() == [SENTENCES[1], "T. x"]
    assert table["language"].to_list() == ["en", ""]


@pytest.mark.parametrize(
    ("key", "told"), [("gone", "rejected as near_duplicate"), ("never", "never fetched")]
)
def test_gold_that_no_article_has_is_named(tmp_path: Path, key: str, told: str) -> None:
    with pytest.raises(InputError, match=f"1 of 1 annotated ids .*first, {key}, was {told}"):
        with_texts([Example(id=key, label="a")], _clean_folder(tmp_path), 100)


def test_alerts_are_of_the_newest_and_the_most_severe_first() -> None:
    table = clean_articles(
        article("old", "a", published="2020-01-01", title="Old"),
        article("undated", "b"),
        article("new", "c", published="2024-05-01", title="New"),
    )
    assert newest(table.lazy(), 2)["id"].to_list() == ["new", "old"]
    labels = [
        Label(name=name, definition="", coarse=name, severity=Severity(level=level, weight=weight))
        for name, level, weight in (("risk", "high", 1.0), ("safe", "none", 0.0))
    ]
    rows = alerts(newest(table.lazy(), 3), np.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]]), labels)
    assert [row["id"] for row in rows] == ["old", "undated", "new"]
    assert rows[0] | {"domain": "", "language": "", "published": ""} == {
        "id": "old",
        "label": "risk",
        "confidence": 0.8,
        "severity": "high",
        "severity_score": 0.8,
        "title": "Old",
        "domain": "",
        "language": "",
        "published": "",
    }
    assert rows[1]["title"] == "b"
