"""Relevance scores from keywords and embeddings, own and nearest domains, tenses."""

from pathlib import Path

import numpy as np
import pytest

from akd.corpus.relevance import scores as relevance
from akd.corpus.relevance.scoring import score_articles
from akd.io import read_table
from akd.records import RELEVANCE
from tests.conftest import SENTENCES, article, clean_articles


def test_keywords_rank_the_articles_that_hold_them_first() -> None:
    groups = {"disaster": ["storm", "flooded", "fire", "rescue"]}
    similarity = relevance.keyword_similarity(SENTENCES, groups)
    logits = relevance.standardised(similarity, SENTENCES)(SENTENCES)
    scores = relevance.domain_scores(logits, [""] * len(SENTENCES), list(groups))
    assert set(np.argsort(scores)[-2:]) == {0, 3}
    assert ((scores > 0) & (scores < 1)).all()


def test_a_text_scores_the_same_in_any_company() -> None:
    """Reference articles set the scale, so that shards can be scored one by one."""
    groups = {"disaster": ["storm", "fire"], "joy": ["festival", "music"]}
    logits = relevance.standardised(relevance.keyword_similarity(SENTENCES, groups), SENTENCES)
    together = logits(SENTENCES).each
    alone = np.concatenate([logits([text]).each for text in SENTENCES])
    np.testing.assert_allclose(together, alone)


def test_an_article_is_held_against_its_own_domain_else_against_the_nearest() -> None:
    logits = relevance.absolute(np.array([[2.0, -2.0], [2.0, -2.0]]))
    scores = relevance.domain_scores(logits, ["ships", "elsewhere"], ["fires", "ships"])
    assert scores[0] == pytest.approx(1 / (1 + np.exp(2.0)))
    assert scores[1] == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_the_nearest_of_many_domains_is_no_praise_in_itself() -> None:
    """Half of the texts lie below the average, however many domains there are."""
    draw = np.random.default_rng(0)
    table = {str(row): values for row, values in enumerate(draw.normal(size=(400, 12)))}
    similarity = lambda texts: np.stack([table[text] for text in texts])  # noqa: E731
    logits = relevance.standardised(similarity, list(table))
    scores = relevance.domain_scores(logits(list(table)), [""] * 400, [str(n) for n in range(12)])
    assert 0.4 < (scores < 0.5).mean() < 0.6


def test_reference_texts_are_embedded_once() -> None:
    seen: list[str] = []

    def embed(texts: list[str]) -> np.ndarray:
        seen.extend(texts)
        return np.array([[len(text), 1.0] for text in texts], dtype=float)

    similarity = relevance.embedding_similarity(embed, SENTENCES, {"group": ["x"]})
    relevance.standardised(similarity, SENTENCES)([*SENTENCES, "new"])
    assert seen == [*SENTENCES, "x", "new"]


def test_terms_of_scripts_without_spaces_are_bigrams() -> None:
    assert list(relevance.terms("Flood 洪水预警")) == ["flood", "洪水", "水预", "预警"]


def test_embeddings_are_compared_after_their_common_direction_is_taken_out() -> None:
    vectors = {"x": [100.0, 1.0], "y": [100.0, -1.0], "near x": [100.0, 0.8]}
    embed = lambda texts: np.array([vectors[text] for text in texts])  # noqa: E731
    similarity = relevance.embedding_similarity(embed, ["x", "y"], {"group": ["near x"]})
    found = similarity(["x", "y"])
    assert found[0, 0] > 0.9
    assert found[1, 0] < -0.9


def test_signal_prefers_present_and_future_to_past() -> None:
    scores = relevance.signal_scores(
        relevance.absolute(np.eye(3) * 3), ["present", "future", "past"]
    )
    assert scores.argmin() == 2
    assert (scores[:2] > 0.5).all()


def test_every_article_of_every_shard_is_scored(tmp_path: Path) -> None:
    table = clean_articles(*(article(f"n{i}", text) for i, text in enumerate(SENTENCES)))
    folder = tmp_path / "clean" / "articles"
    folder.mkdir(parents=True)
    for number, shard in enumerate((table.head(2), table.slice(2, 0), table.tail(3))):
        shard.write_parquet(folder / f"part-{number:05d}.parquet")
    length = lambda texts: np.array([[len(text)] for text in texts], dtype=float)  # noqa: E731
    tense = lambda texts: np.tile([0.0, 0.0, 1.0], (len(texts), 1))  # noqa: E731
    count = score_articles(
        tmp_path / "clean",
        tmp_path / "out",
        domains=["news"],
        domain_logits=lambda texts: relevance.absolute(length(texts) - 80),
        tenses=["present", "future", "past"],
        signal_logits=lambda texts: relevance.absolute(tense(texts)),
    )
    scores = read_table(tmp_path / "out", RELEVANCE)
    assert count == scores.height == len(SENTENCES)
    assert scores["id"].to_list() == table["id"].to_list()
    order = np.argsort([len(text) for text in SENTENCES])
    assert np.argsort(scores["domain_score"].to_numpy()).tolist() == order.tolist()
    past = np.exp(1) / (2 + np.exp(1))
    np.testing.assert_allclose(scores["signal_score"], 1 - past, atol=1e-6)
