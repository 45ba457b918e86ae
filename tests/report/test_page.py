"""The page: what it holds, what it leaves out, and that nobody's words become markup."""

import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag

from akd.cli import app
from akd.errors import InputError
from akd.io import write_json, write_text
from akd.report.load import load
from akd.report.page import render, write_report
from tests.conftest import ROOT
from tests.report.conftest import HOSTILE, evaluation


def _page(project: Path) -> BeautifulSoup:
    return BeautifulSoup(render(load(project)), "html.parser")


def _section(page: BeautifulSoup, key: str) -> Tag:
    heading = page.find(id=key)
    assert heading is not None
    section = heading.find_parent("section")
    assert section is not None
    return section


def _row(section: Tag, name: str) -> list[str]:
    head = section.find("th", string=name, scope="row")
    assert head is not None
    assert head.parent is not None
    return [cell.get_text() for cell in head.parent.find_all("td")]


def test_every_table_of_the_run_has_its_section(project: Path) -> None:
    keys = [heading["id"] for heading in _page(project).find_all("h2")]
    assert keys == ["headline", "groups", "confusion", "errors", "loss", "domains", "prompt",
                    "corpus", "resources", "run"]  # fmt: skip


def test_what_the_run_did_not_write_is_left_out(tmp_path: Path) -> None:
    write_json(tmp_path / "metrics" / "evaluate.json", {**evaluation(), "by_domain": {}})
    write_text(tmp_path / "metrics" / "errors.csv",
               "id,gold,teacher,student,confidence,domain,language\n")  # fmt: skip
    page = _page(tmp_path)
    assert [heading["id"] for heading in page.find_all("h2")] == ["headline", "run"]
    links = [link["href"] for link in page.select("nav a")]
    assert links == ["#headline", "#run"]


def test_words_of_strangers_stay_words(project: Path) -> None:
    page = _page(project)
    assert not page.find_all(["script", "img", "iframe", "object"])
    assert not [tag for tag in page.find_all() if any(name.startswith("on") for name in tag.attrs)]
    assert page.find("h3", string=HOSTILE) is not None
    assert HOSTILE in _section(page, "groups").get_text()
    assert f"{HOSTILE} News: … ↵ This is → bad | good" in page.get_text()


def test_the_headline_has_values_intervals_and_a_verdict_for_each_gap(project: Path) -> None:
    section = _section(_page(project), "headline")
    assert _row(section, "student") == ["0.600 [0.500, 0.700]", "0.100 [0.500, 0.700]"]
    lead = section.find(class_="lead")
    assert lead is not None
    words = lead.get_text()
    assert "60.0 % of 5 gold articles" in words
    assert "Student minus teacher: +0.200 [+0.100, +0.300], better." in words
    assert "−0.100 [−0.200, +0.050], so these articles do not tell them apart" in words
    assert "90 % bootstrap" in words


def test_what_an_evaluation_holds_besides_is_shown_where_it_fits(project: Path) -> None:
    found = evaluation()
    found["student"]["agreement"] = 0.875
    found["student"]["temperature"] = {"fitted": 1.5}
    found["gap"]["student_minus_teacher"]["p_value"] = 0.03125
    found["gap"]["mcnemar"] = {"b": 3}
    del found["by_domain"]["world"]["teacher"]
    write_json(project / "metrics" / "evaluate.json", found)
    page = _page(project)
    section = _section(page, "headline")
    assert _row(section, "student")[-1] == "0.875"
    assert _row(section, "student minus teacher") == ["0.200", "0.100", "0.300", "0.031"]
    assert "mcnemar" not in section.get_text()
    assert _row(_section(page, "groups"), "world") == ["12", "", "0.300", "0.600", "0.700"]
    assert _row(_section(page, "run"), "evaluate: student.temperature.fitted") == ["1.500"]


def test_confusion_counts_and_shares_by_label(project: Path) -> None:
    section = _section(_page(project), "confusion")
    assert "1 of 3 gold articles lie on the diagonal" in section.get_text()
    assert _row(section, "risk and warning") == ["2", "0", "0.000", "none"]
    assert _row(section, "caution and advice") == ["1", "3", "1.000", "0.333"]


def test_errors_come_surest_first_with_the_texts_of_clean_and_gold(project: Path) -> None:
    section = _section(_page(project), "errors")
    assert [heading.get_text() for heading in section.find_all("h3")] == ["Two", "Brought", HOSTILE]
    texts = [text.get_text() for text in section.select("p.text")]
    assert texts == [f"{HOSTILE} and a body.", "along by gold", "The body of one."]
    first = section.find("dl")
    assert first is not None
    assert "caution and advice (0.900)" in first.get_text()


def test_an_error_without_a_text_still_shows_its_id(project: Path) -> None:
    for shard in (project / "data" / "clean" / "articles").iterdir():
        shard.unlink()
    headings = [heading.get_text() for heading in _section(_page(project), "errors").find_all("h3")]
    assert headings == ["Article a2", "Brought", "Article a1"]


def test_the_record_says_what_was_changed_since_the_run(project: Path) -> None:
    section = _section(_page(project), "run")
    assert _row(section, "adapter.r") == ["8", "16"]
    assert _row(section, "data/predictions") == ["evaluate", "2.1 kB", "ab" * 16 + ".dir"]
    assert _row(section, "data/tasks/mine/gold.jsonl")[2] == "0f" * 16
    write_text(project / "params.yaml", "{adapter: {r: 8}}")
    assert "Changed since" not in _section(_page(project), "run").get_text()
    write_text(project / "params.yaml", "{adapter: {r: 8, alpha: 4}}")
    assert _row(_section(_page(project), "run"), "adapter.alpha") == ["", "4"]


def test_every_figure_has_a_name_a_description_and_a_table(project: Path) -> None:
    page = _page(project)
    figures = page.find_all("figure")
    assert len(figures) == len(page.find_all("svg")) == 11
    for figure in figures:
        picture = figure.find("svg")
        assert picture is not None
        assert picture["role"] == "img"
        title, description = str(picture["aria-labelledby"]).split()
        for key, tag in ((title, "title"), (description, "desc")):
            named = picture.find(tag, id=key)
            assert named is not None
            assert named.get_text()
        assert figure.select("details table tbody tr")
    keys = [tag["id"] for tag in page.find_all(id=True)]
    assert len(keys) == len(set(keys))


def test_tables_have_captions_and_scopes_and_headings_skip_no_level(project: Path) -> None:
    page = _page(project)
    for table in page.find_all("table"):
        assert table.find("caption") is not None
        assert {head["scope"] for head in table.find_all("th")} == {"col", "row"}
        width = len(table.select("thead th"))
        assert all(len(row.find_all(["th", "td"])) == width for row in table.select("tr"))
    levels = [int(heading.name[1]) for heading in page.find_all(re.compile("h[1-6]"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(page.find(name) is not None for name in ("header", "nav", "main", "footer"))


def test_each_of_several_losses_has_a_panel(project: Path) -> None:
    rows = "".join(f"{step},{3 / step},{2 / step},{1 / step}\n" for step in (1, 2, 4))
    write_text(project / "metrics" / "loss" / "phase-1.csv", f"step,loss,kl,hidden\n{rows}")
    section = _section(_page(project), "loss")
    assert "phase-1: each loss" in section.get_text()
    notes = [note.get_text() for note in section.select("svg text.note")]
    assert notes[-2:] == ["2.000 → 0.500", "1.000 → 0.250"]


def test_the_domain_panels_show_weights_and_the_ratio_of_losses(project: Path) -> None:
    section = _section(_page(project), "domains")
    notes = [note.get_text() for note in section.select("svg text.note")]
    assert notes == ["0.500 → 0.300", "0.500 → 0.700", "1.200 → 1.000", "2.000 → 1.600"]


def test_the_tree_marks_the_prompt_that_was_chosen(project: Path) -> None:
    section = _section(_page(project), "prompt")
    assert [bold.get_text() for bold in section.select("svg text.strong")] == ["1 cue"]
    assert [row.get_text() for row in section.select("svg text")][:3] == ["−0.9", "−0.8", "−0.7"]


def test_a_long_run_still_gives_a_small_page_soon(project: Path) -> None:
    steps = range(1, 5_001)
    rows = [f"{step},d{n},0.1,1.{step},0.9\n" for step in steps for n in range(12)]
    head = "step,domain,weight,student_loss,teacher_loss\n"
    for phase in ("phase-1", "phase-2", "phase-3"):
        losses = "".join(f"{step},0.{step}\n" for step in steps)
        write_text(project / "metrics" / "loss" / f"{phase}.csv", f"step,loss\n{losses}")
        write_text(project / "metrics" / "domains" / f"{phase}.csv", head + "".join(rows))
    start = time.process_time()
    write_report(project, project / "report.html")
    assert time.process_time() - start < 3
    assert (project / "report.html").stat().st_size < 3_000_000
    table = _section(_page(project), "loss").find("table")
    assert table is not None
    shown = [head.get_text() for head in table.select("tbody th")]
    assert shown[:2] == ["1", "14"]
    assert shown[-1] == "5,000"
    assert "one in 13 of 5,000 steps" in table.get_text()


def test_the_same_run_gives_the_same_page_without_paths_of_the_machine(project: Path) -> None:
    page = render(load(project))
    assert page == render(load(project))
    assert str(project) not in page


def test_the_command_writes_the_page(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["akd", "report", "--project", str(project),
                                      "--out", str(project / "out" / "run.html")])  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 0
    assert (project / "out" / "run.html").read_text().startswith("<!doctype html>")


def test_without_metrics_the_command_ends_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["akd", "report", "--project", str(tmp_path),
                                      "--out", str(tmp_path / "run.html")])  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 2
    expected = f"error: {tmp_path / 'metrics'} holds no metrics yet: run `dvc repro` first\n"
    assert capsys.readouterr().err == expected
    assert not (tmp_path / "run.html").exists()


def test_a_folder_is_no_page(project: Path) -> None:
    with pytest.raises(InputError, match="is a folder: name the HTML file"):
        write_report(project, project)


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("metrics/loss/phase-1.csv", "step,los\n1,2\n", "is not a table of step, loss"),
        ("metrics/errors.csv", "id,gold\na,b\n", "is not a table of id, gold, teacher"),
        ("metrics/reliability.csv", "model,confidence,accuracy,articles\na,b,c,d\n", "is not a"),
        ("metrics/evaluate.json", "[1]", "is not a JSON object"),
        ("dvc.lock", "stages: [1]", "is not a lock of DVC's"),
        ("dvc.lock", "stages: {a: {outs: [{md5: b}]}}", "is not a lock of DVC's"),
        ("params.yaml", "{", "is not YAML"),
    ],
)
def test_a_broken_file_is_named(project: Path, file: str, text: str, sentence: str) -> None:
    write_text(project / file, text)
    with pytest.raises(InputError, match=re.escape(f"{project / file} {sentence}")):
        load(project)


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys, akd.cli.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
