"""The filter: held-out articles, thresholds, the budget, and what nothing is left of."""

from pathlib import Path

import polars as pl
import pytest

from akd.corpus.duplicates import NearDuplicateIndex
from akd.corpus.examples import balanced
from akd.corpus.relevance.filter import Limits, filter_articles
from akd.corpus.report import by_domain, counts, kept_shares
from akd.corpus.sampling import balanced_sample, sample, sampled_texts
from akd.errors import InputError
from akd.io import read_table, write_table
from akd.records import CLEAN, FILTERED, REJECTED, RELEVANCE
from akd.task import Example
from tests.conftest import SENTENCES, article, clean_articles

TABLE = clean_articles(*(article(f"n{i}", text) for i, text in enumerate(SENTENCES)))
LIMITS = Limits(domain=0.5, signal=0.5, max_articles=100)


def _filter(
    folder: Path,
    table: pl.DataFrame = TABLE,
    *,
    shard_rows: int = 2,
    domain: list[float] | None = None,
    signal: list[float] | None = None,
    held_out: list[Example] | None = None,
    limits: Limits = LIMITS,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Filter a table in shards of some rows, each with its scores beside it."""
    ones = [1.0] * table.height
    scores = pl.DataFrame(
        {"id": table["id"], "domain_score": domain or ones, "signal_score": signal or ones},
        schema=RELEVANCE,
    )
    clean, relevance, out = folder / "clean", folder / "relevance", folder / "out"
    for place, frame in ((clean / "articles", table), (relevance, scores)):
        place.mkdir(parents=True, exist_ok=True)
        for number, start in enumerate(range(0, frame.height, shard_rows)):
            shard = frame.slice(start, shard_rows)
            shard.write_parquet(place / f"part-{number:05d}.parquet")
    filter_articles(
        clean,
        relevance,
        out,
        held_out=held_out or [],
        max_characters=60,
        duplicates=NearDuplicateIndex(permutations=128, shingle=3, similarity=0.5, seed=1),
        limits=limits,
    )
    kept = read_table(out / "articles", FILTERED)
    rejected = read_table(out / "rejected", REJECTED)
    assert kept.height + rejected.height == table.height
    return kept, rejected


def test_gold_and_its_near_duplicates_never_pass(tmp_path: Path) -> None:
    near = article("near", SENTENCES[0] + " It rained on.")
    table = pl.concat([TABLE, clean_articles(near)])
    _, rejected = _filter(tmp_path, table, held_out=[Example(id="n0", label="x")])
    reasons = dict(rejected.select("id", "reason").rows())
    assert reasons == {"n0": "held_out", "near": "near_duplicate_of_held_out"}
    assert rejected.filter(pl.col("id") == "near")["detail"][0] == "n0"


def test_a_shot_with_its_own_text_holds_out_its_copies(tmp_path: Path) -> None:
    kept, _ = _filter(tmp_path, held_out=[Example(id="own", label="x", text=SENTENCES[2])])
    assert "n2" not in kept["id"]


MARKED = " ".join(f"<i>{word}</i>" for word in SENTENCES[2].split())
LONG = SENTENCES[2] + " It went on for long, said the mayor of the town." * 40


@pytest.mark.parametrize("own", [MARKED, LONG], ids=["marked", "long"])
def test_a_text_of_its_own_is_compared_as_an_article_would_be(tmp_path: Path, own: str) -> None:
    kept, _ = _filter(tmp_path, held_out=[Example(id="own", label="x", text=own)])
    assert "n2" not in kept["id"]


def test_thresholds_decide_one_after_the_other(tmp_path: Path) -> None:
    kept, rejected = _filter(
        tmp_path, domain=[0.9, 0.1, 0.8, 0.3, 0.2], signal=[0.2, 0.9, 0.9, 0.9, 0.1]
    )
    assert kept["id"].to_list() == ["n2"]
    assert kept.select("domain_score", "signal_score").row(0) == (0.8, 0.9)
    reasons = dict(rejected.select("id", "reason").rows())
    assert reasons == {"n0": "past", "n1": "off_domain", "n3": "off_domain", "n4": "off_domain"}
    assert rejected["detail"][0] == "signal_score 0.2 is below 0.5"


def test_shards_change_nothing(tmp_path: Path) -> None:
    scores = [0.9, 0.1, 0.8, 0.3, 0.7]
    one = _filter(tmp_path / "one", domain=scores, shard_rows=5)
    many = _filter(tmp_path / "many", domain=scores, shard_rows=1)
    assert one[0].equals(many[0])
    assert one[1].equals(many[1])


def test_the_budget_is_a_sample_independent_of_row_order(tmp_path: Path) -> None:
    few = Limits(0.5, 0.5, max_articles=2)
    first, rejected = _filter(tmp_path / "a", limits=few)
    second, _ = _filter(tmp_path / "b", TABLE.reverse(), limits=few)
    assert set(first["id"]) == set(second["id"])
    assert rejected["reason"].to_list() == ["over_budget"] * 3


def test_the_budget_gives_each_domain_its_share() -> None:
    groups = ["many"] * 20 + ["few"] * 3 + ["one"]
    ids = [f"id{n}" for n in range(len(groups))]
    for size, wanted in ((6, (3, 2, 1)), (12, (8, 3, 1)), (50, (20, 3, 1))):
        chosen = [groups[row] for row in balanced_sample(ids, groups, size)]
        assert tuple(chosen.count(name) for name in ("many", "few", "one"))[1:] == wanted[1:]
        assert len(chosen) == sum(wanted)


def test_a_filter_that_keeps_nothing_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"keeps no article \(5 off_domain\): lower"):
        _filter(tmp_path, domain=[0.0] * 5)
    assert not (tmp_path / "out").exists()


def test_scores_of_other_articles_are_refused(tmp_path: Path) -> None:
    _filter(tmp_path)
    swapped = TABLE.select("id").reverse().with_columns(domain_score=1.0, signal_score=1.0)
    write_table(tmp_path / "relevance", swapped, RELEVANCE)
    write_table(tmp_path / "clean" / "articles", TABLE, CLEAN)
    with pytest.raises(InputError, match="does not score the articles"):
        filter_articles(
            tmp_path / "clean",
            tmp_path / "relevance",
            tmp_path / "out",
            held_out=[],
            max_characters=60,
            duplicates=NearDuplicateIndex(permutations=128, shingle=3, similarity=0.5, seed=1),
            limits=LIMITS,
        )


def test_table_1_and_the_shares_for_the_plot() -> None:
    rows = [
        article("a", "x", domain="fire", published="2020-01-03T10:00:00Z"),
        article("b", "x", domain="fire", published="2020-02-01"),
        article("c", "x", domain="fire"),
        article("d", "x", domain="ship"),
    ]
    table = clean_articles(*rows).with_columns(language=pl.Series(["en", "zh", "en", "en"]))
    kept = table.head(2)
    assert by_domain(table.lazy(), kept.lazy()) == {
        "fire": {
            "articles": 3, "first": "2020-01-03", "last": "2020-02-01", "languages": 2, "kept": 2,
            "kept_share": 0.6667,
        },
        "ship": {
            "articles": 1, "first": "", "last": "", "languages": 1, "kept": 0, "kept_share": 0.0,
        },
    }  # fmt: skip
    shares = kept_shares(table.lazy(), kept.lazy(), "language")
    assert shares.rows() == [("en", 3, 1, 0.3333), ("zh", 1, 1, 1.0)]
    rejected = table.tail(2).with_columns(reason=pl.lit("past"))
    report = counts(kept.lazy(), rejected.lazy())
    assert (report["rows_in"], report["kept"], report["reasons"]) == (4, 2, {"past": 2})


def test_samples_and_balanced_examples(tmp_path: Path) -> None:
    assert sample(["a", "b", "c"], 5) == [0, 1, 2]
    examples = [Example(id=str(i), label=label) for i, label in enumerate("xxxyz")]
    assert [e.id for e in balanced(examples, 3)] == ["0", "3", "4"]
    assert [e.id for e in balanced(examples, 4)] == ["0", "1", "3", "4"]
    texts = []
    for name, table in (("a", TABLE), ("b", TABLE.reverse())):
        write_table(tmp_path / name / "articles", table, CLEAN)
        texts.append(sampled_texts(tmp_path / name, 3))
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 3
