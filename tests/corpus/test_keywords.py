"""Keyword expansion: what is mined, whose it is, and what stays as a person wrote it."""

import json
from pathlib import Path

import yaml
from typer.testing import CliRunner

from akd.cli.app import app
from akd.corpus.relevance.keywords import (
    expanded,
    freeze,
    open_domains,
    read_keywords,
    write_keywords,
)
from akd.corpus.relevance.mining import mine
from akd.specs.sources import Domain
from akd.task import load_domains

FIRES = [f"The bushfire near town {n}: firefighters met thick smoke" for n in "abcdefgh"]
MUSIC = [f"The festival number {n} opened with music for {n} guests" for n in range(120)]


def test_phrases_that_stand_beside_the_seeds_are_found_and_others_not() -> None:
    found = mine(FIRES + MUSIC, {"fire": ["bushfire"]}, per_domain=5, words=2)
    phrases = [phrase for phrase, _ in found["fire"]]
    assert "thick smoke" in phrases
    assert "bushfire" not in phrases
    assert all(phrase in FIRES[0].casefold().replace(":", "") for phrase in phrases)
    scores = [score for _, score in found["fire"]]
    assert scores == sorted(scores, reverse=True)


def test_a_phrase_stands_in_for_its_parts_and_common_words_begin_no_phrase() -> None:
    texts = [f"News {n}: the interest rates rose, says bank {n}" for n in range(8)]
    texts += [f"News {n}: the team won match {n} at home" for n in range(72)]
    found = mine(texts, {"economy": ["bank"]}, per_domain=9, words=3)
    phrases = [phrase for phrase, _ in found["economy"]]
    assert any("interest rates" in phrase for phrase in phrases)
    assert "interest" not in phrases
    assert not any(phrase.startswith("the ") for phrase in phrases)


def test_scripts_without_spaces_give_runs_of_characters() -> None:
    texts = [f"火灾发生后消防人员到达现场{n}号" for n in "一二三四五"]
    texts += [f"电影节今天第{n}次开幕" for n in range(60)]
    found = mine(texts, {"fire": ["火灾"]}, per_domain=5, words=3)
    assert any("消防" in phrase for phrase, _ in found["fire"])
    assert not any("电影" in phrase for phrase, _ in found["fire"])


def test_seeds_that_no_article_holds_find_nothing() -> None:
    assert mine(MUSIC, {"fire": ["volcano"]}, per_domain=5, words=2) == {"fire": []}
    assert mine(["one text"], {"fire": ["volcano"]}, per_domain=5, words=2) == {"fire": []}


def test_mining_does_not_depend_on_the_order_of_articles() -> None:
    seeds = {"fire": ["bushfire"]}
    first = mine(FIRES + MUSIC, seeds, per_domain=5, words=2)
    second = mine((FIRES + MUSIC)[::-1], seeds, per_domain=5, words=2)
    assert [p for p, _ in first["fire"]] == [p for p, _ in second["fire"]]


def test_each_keyword_has_one_origin_and_a_frozen_domain_stays_as_it_is(tmp_path: Path) -> None:
    domains = {
        "fire": Domain(keywords=["Fire", "smoke"]),
        "ships": Domain(keywords=["port"], frozen=True),
    }
    assert open_domains(domains) == {"fire": ["Fire", "smoke"]}
    table = expanded(
        domains, {"fire": [("fire", 0.5), ("burn", 0.4)]}, {"fire": [("burn", 0.0), ("ash", 0.0)]}
    )
    assert table.rows() == [
        ("fire", "Fire", "task", 1.0),
        ("fire", "smoke", "task", 1.0),
        ("fire", "burn", "mined", 0.4),
        ("fire", "ash", "teacher", 0.0),
        ("ships", "port", "task", 1.0),
    ]
    write_keywords(table, tmp_path / "keywords")
    assert read_keywords(tmp_path / "keywords") == {
        "fire": ["Fire", "smoke", "burn", "ash"],
        "ships": ["port"],
    }
    lines = (tmp_path / "keywords" / "keywords.jsonl").read_text().splitlines()
    assert json.loads(lines[2])["origin"] == "mined"


def test_a_frozen_list_is_taken_over_and_keeps_its_query(tmp_path: Path) -> None:
    path = tmp_path / "domains.yaml"
    query = {"start": "2020-01-01", "end": "2020-02-01", "languages": ["eng"], "maximum": 5}
    path.write_text(yaml.safe_dump({"fire": {"keywords": ["fire"], "query": query}}))
    freeze(path, load_domains(path), {"fire": ["fire", "火灾"]})
    again = load_domains(path)
    assert again["fire"].frozen
    assert again["fire"].keywords == ["fire", "火灾"]
    assert again["fire"].query is not None
    assert again["fire"].query.maximum == 5
    assert open_domains(again) == {}


def test_the_command_shows_and_freezes(tmp_path: Path) -> None:
    domains = tmp_path / "domains.yaml"
    domains.write_text("fire: {keywords: [fire]}")
    table = expanded(load_domains(domains), {"fire": [("smoke", 0.5)]}, {})
    write_keywords(table, tmp_path / "keywords")
    done = CliRunner().invoke(
        app, ["keywords", "--folder", str(tmp_path / "keywords"), "--freeze", str(domains)]
    )
    assert done.exit_code == 0
    assert "smoke" in done.output
    assert "mined" in done.output
    assert load_domains(domains)["fire"].keywords == ["fire", "smoke"]


def test_keywords_of_another_task_are_not_frozen(tmp_path: Path) -> None:
    domains = tmp_path / "domains.yaml"
    domains.write_text("flood: {keywords: [flood]}  # ours")
    table = expanded({"fire": Domain(keywords=["[/fire]"])}, {}, {})
    write_keywords(table, tmp_path / "keywords")
    command = ["keywords", "--folder", str(tmp_path / "keywords")]
    refused = CliRunner().invoke(app, [*command, "--freeze", str(domains)])
    assert "has keywords of fire, but" in str(refused.exception)
    assert "# ours" in domains.read_text()
    assert "[/fire]" in CliRunner().invoke(app, command).output
