"""The filter: relevance, held-out articles, and what nothing is left of."""

import numpy as np
import polars as pl
import pytest

from akd.corpus import relevance
from akd.corpus.duplicates import NearDuplicateIndex
from akd.corpus.examples import balanced
from akd.corpus.filter import filter_articles
from akd.corpus.sampling import balanced_sample, sample
from akd.errors import InputError
from akd.task import Example
from tests.conftest import SENTENCES, article, clean_articles

TABLE = clean_articles(*(article(f"n{i}", text) for i, text in enumerate(SENTENCES)))


def _constant(value: float):
    return lambda texts: np.full(len(texts), value)


def _filter(table: pl.DataFrame, **changes: object) -> tuple[pl.DataFrame, pl.DataFrame]:
    settings: dict[str, object] = {
        "held_out": [],
        "duplicates": NearDuplicateIndex(permutations=128, shingle=3, similarity=0.5, seed=1),
        "domain_scores": _constant(1.0),
        "domain_threshold": 0.5,
        "signal_scores": _constant(1.0),
        "signal_threshold": 0.5,
        "max_articles": 100,
    }
    return filter_articles(table, **{**settings, **changes})  # type: ignore[arg-type]


def test_gold_and_its_near_duplicates_never_pass() -> None:
    near = article("near", SENTENCES[0] + " It rained on.")
    table = pl.concat([TABLE, clean_articles(near)])
    kept, rejected = _filter(table, held_out=[Example(id="n0", label="x")])
    reasons = dict(rejected.select("id", "reason").rows())
    assert reasons == {"n0": "held_out", "near": "near_duplicate_of_held_out"}
    assert rejected.filter(pl.col("id") == "near")["detail"][0] == "n0"
    assert kept.height + rejected.height == table.height


def test_a_shot_with_its_own_text_holds_out_its_copies() -> None:
    kept, _ = _filter(TABLE, held_out=[Example(id="own", label="x", text=SENTENCES[2])])
    assert "n2" not in kept["id"]


def test_the_second_step_sees_only_what_passed_the_first() -> None:
    seen: list[str] = []

    def signal(texts: list[str]) -> np.ndarray:
        seen.extend(texts)
        return np.array([0.2, 0.9])

    domain = lambda texts: np.array([0.9, 0.1, 0.8, 0.3, 0.2])  # noqa: E731
    kept, rejected = _filter(TABLE, domain_scores=domain, signal_scores=signal)
    assert seen == [SENTENCES[0], SENTENCES[2]]
    assert kept["id"].to_list() == ["n2"]
    assert kept["signal_score"].to_list() == [0.9]
    assert sorted(rejected["reason"]) == ["off_domain"] * 3 + ["past"]


def test_the_budget_is_a_sample_independent_of_row_order() -> None:
    first, rejected = _filter(TABLE, max_articles=2)
    second, _ = _filter(TABLE.reverse(), max_articles=2)
    assert set(first["id"]) == set(second["id"])
    assert rejected["reason"].to_list() == ["over_budget"] * 3


def test_the_budget_gives_each_domain_its_share() -> None:
    groups = ["many"] * 20 + ["few"] * 3 + ["one"]
    ids = [f"id{n}" for n in range(len(groups))]
    for size, wanted in ((6, (3, 2, 1)), (12, (8, 3, 1)), (50, (20, 3, 1))):
        chosen = [groups[row] for row in balanced_sample(ids, groups, size)]
        assert tuple(chosen.count(name) for name in ("many", "few", "one"))[1:] == wanted[1:]
        assert len(chosen) == sum(wanted)


def test_a_filter_that_keeps_nothing_says_why() -> None:
    with pytest.raises(InputError, match=r"keeps no article \(5 off_domain\): lower"):
        _filter(TABLE, domain_scores=_constant(0.0))


def test_keywords_rank_the_articles_that_hold_them_first() -> None:
    scores = relevance.domain_scores(
        SENTENCES,
        {"disaster": ["storm", "flooded", "fire", "rescue"]},
        relevance.keyword_similarity,
    )
    assert set(np.argsort(scores)[-2:]) == {0, 3}
    assert ((scores > 0) & (scores < 1)).all()


def test_terms_of_scripts_without_spaces_are_bigrams() -> None:
    assert list(relevance.terms("Flood 洪水预警")) == ["flood", "洪水", "水预", "预警"]


def test_embeddings_are_compared_after_their_common_direction_is_taken_out() -> None:
    vectors = {"x": [100.0, 1.0], "y": [100.0, -1.0], "near x": [100.0, 0.8]}
    embed = lambda texts: np.array([vectors[text] for text in texts])  # noqa: E731
    similarity = relevance.embedding_similarity(embed)(["x", "y"], [["near x"]])
    assert similarity[0, 0] > 0.9
    assert similarity[1, 0] < -0.9


def test_signal_prefers_present_and_future_to_past() -> None:
    table = {"now": [1.0, 0.0, 0.0], "soon": [0.0, 1.0, 0.0], "then": [0.0, 0.0, 1.0]}
    similarity = lambda texts, _groups: np.array([table[text] for text in texts])  # noqa: E731
    scores = relevance.signal_scores(["now", "soon", "then"], ["p"], ["f"], ["x"], similarity)
    assert scores.argmin() == 2
    assert (scores[:2] > 0.5).all()


def test_samples_and_balanced_examples() -> None:
    assert sample(["a", "b", "c"], 5) == [0, 1, 2]
    examples = [Example(id=str(i), label=label) for i, label in enumerate("xxxyz")]
    assert [e.id for e in balanced(examples, 3)] == ["0", "3", "4"]
    assert [e.id for e in balanced(examples, 4)] == ["0", "1", "3", "4"]
