"""The headline, its tables, the baseline and the alerts."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from akd.cli.app import app
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
        for metric in ("accuracy", "macro_f1", "sensitivity", "specificity", "ece", "ece_scaled"):
            bounds = report[model]["interval"][metric]
            assert bounds["low"] <= report[model][metric] <= bounds["high"]
    assert report["student"]["accuracy"] == 1.0
    assert report["gap"]["student_minus_teacher"] == {"accuracy": 1.0, "low": 1.0, "high": 1.0}
    assert report["gap"]["student_minus_tfidf"]["accuracy"] == 0.0
    beside = report["against_teacher"]
    assert set(beside) == {"student_base", "student", "tfidf"}
    assert (beside["student"]["mcnemar"]["c"], beside["student"]["agreement"]) == (60, 0.0)
    assert beside["student_base"]["agreement"] == 1.0
    json.dumps(report, allow_nan=False)
    assert report == _headline()


def test_overconfidence_is_gone_after_scaling() -> None:
    half = np.where(np.arange(60)[:, None] % 2 == 0, RIGHT, WRONG)
    figures = compare.headline(
        GOLD, {**MODELS, "student": half}, bins=10, resamples=50, confidence=0.95, seed=1
    )["student"]
    assert figures["ece"] == pytest.approx(0.8 + 0.2 / 3 - 0.5, abs=1e-6)
    assert figures["ece_scaled"] < 0.1
    assert min(figures["temperature"].values()) > 1


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
    assert groups["en"]["agreement"] == 0.0


def test_groups_are_domains_languages_and_thirds_by_length() -> None:
    table = pl.DataFrame(
        {
            "text": ["x" * (n + 1) for n in range(60)],
            "domain": ["a"] * 50 + [""] * 10,
            "language": ["en"] * 60,
        }
    )
    report = compare.by_groups(GOLD, MODELS, table)
    assert {name: group["n"] for name, group in report["by_length"].items()} == {
        "short": 20,
        "medium": 20,
        "long": 20,
    }
    assert report["length_up_to_characters"] == {"short": 20, "medium": 40}
    assert report["by_domain"]["a"]["n"] == 50
    assert set(report["by_domain"]) == {"a"}
    assert report["by_language"]["en"]["n"] == 60
    alike = compare.length_groups(["same"] * 4)
    assert alike == (["short"] * 4, {"short": 4, "medium": 4})


def test_the_surest_mistake_stands_first_and_no_text_is_written() -> None:
    names = ["x", "y", "z"]
    student = RIGHT.copy()
    student[4], student[7], student[9] = [0.7, 0.1, 0.2], [0.1, 0.0, 0.9], [0.1, 0.2, 0.7]
    table = pl.DataFrame(
        {
            "id": [f"n{n}" for n in range(60)],
            "text": ["secret"] * 60,
            "domain": ["d"] * 60,
            "language": ["en"] * 60,
        }
    )
    errors = compare.error_table(table, GOLD, {**MODELS, "student": student}, names)
    assert errors.rows() == [
        ("n7", "y", "z", "z", 0.9, "d", "en"),
        ("n4", "y", "z", "x", 0.7, "d", "en"),
        ("n9", "x", "y", "z", 0.7, "d", "en"),
    ]
    columns = ["id", "gold", "teacher", "student", "confidence", "domain", "language"]
    assert errors.columns == columns
    assert compare.error_table(table, GOLD, MODELS, names).height == 0


def test_the_command_line_prints_what_the_run_found(tmp_path: Path) -> None:
    domains = [f"d{n:02}" for n in range(12)] * 5
    grouped = pl.DataFrame({"text": ["x"] * 60, "domain": domains, "language": ["en"] * 60})
    groups = compare.by_groups(GOLD, MODELS, grouped)
    write_json(tmp_path / "m.json", {"task": "t", "pair": "p", "n": 60, **_headline(), **groups})
    shown = CliRunner().invoke(app, ["results", "--metrics", str(tmp_path / "m.json")])
    assert shown.exit_code == 0
    lines = [" ".join(line.replace("│", " ").split()) for line in shown.output.splitlines()]
    assert max(map(len, shown.output.splitlines())) <= 80
    assert "accuracy [interval]" in shown.output
    assert "TF-IDF 1.000 [1.000, 1.000] 1.000 1.000 1.000" in lines
    assert [line for line in lines if line.startswith("domain ")] == [
        f"domain d{n:02} 5 0.000 1.000 1.000 0.000" for n in range(10)
    ]
    assert "2 more: akd report" in lines
    assert "language" not in shown.output  # there is one alone
    assert "student minus teacher: +1.000 accuracy [+1.000, +1.000]" in lines
    assert "student and teacher agree on 0.000 of the articles (kappa -0.500)" in lines
    alone = "the teacher alone is right on 0, the student alone on 60"
    assert f"McNemar: {alone}, p = 1.73e-18" in lines
    assert "ECE before and after a temperature: teacher 0.867, " in shown.output
    write_json(tmp_path / "m.json", {"rows_in": 3})
    refused = CliRunner().invoke(app, ["results", "--metrics", str(tmp_path / "m.json")])
    assert "m.json is not of the evaluate stage" in str(refused.exception)


def test_tfidf_learns_the_labels_it_is_given() -> None:
    texts = [f"storm flood fire {n}" for n in range(9)] + [f"match team goal {n}" for n in range(9)]
    found = tfidf_probabilities(texts, [2] * 9 + [0] * 9, ["a flood and a fire", "the team"], 3)
    assert found.argmax(1).tolist() == [2, 0]
    assert (found[:, 1] == 0).all()
    assert tfidf_probabilities(texts, [1] * 18, ["x"], 3).tolist() == [[0.0, 1.0, 0.0]]
    apart = ["a flood", "the team", "some fire", "her song"]
    assert tfidf_probabilities(apart, [0, 1, 1, 1], ["x"], 3).tolist() == [[0.25, 0.75, 0.0]]


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


def test_a_text_of_which_nothing_is_left_is_none(tmp_path: Path) -> None:
    clean = _clean_folder(tmp_path)
    assert with_texts([Example(id="n1", label="a", text="<br>")], clean, 100)["text"][0]
    with pytest.raises(InputError, match="1 of 1 annotated ids have no article"):
        with_texts([Example(id="own", label="a", text=" <br> ")], clean, 100)


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
