"""One model beside the teacher: agreement, kappa, McNemar's exact test."""

from math import comb

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from akd.evaluate.agreement import against, mcnemar


def test_mcnemar_by_hand() -> None:
    right = np.array([True] * 9 + [False] * 3 + [True] * 20 + [False] * 7)
    other = np.array([False] * 9 + [True] * 3 + [True] * 20 + [False] * 7)
    tail = sum(comb(12, k) for k in range(4)) / 2**12
    assert mcnemar(right, other) == {"b": 3, "c": 9, "statistic": 3, "p": pytest.approx(2 * tail)}
    turned = mcnemar(other, right)
    assert (turned["b"], turned["c"], turned["p"]) == (9, 3, mcnemar(right, other)["p"])


def test_mcnemar_without_a_difference_and_with_nothing_but() -> None:
    same = np.array([True, False, True])
    assert mcnemar(same, same) == {"b": 0, "c": 0, "statistic": 0, "p": 1.0}
    all_right = np.ones(100, dtype=bool)
    p = mcnemar(all_right, ~all_right)["p"]
    assert p == pytest.approx(2 * 0.5**100, rel=1e-5)  # rounding to decimals would leave 0


@pytest.mark.parametrize("seed", range(3))
def test_kappa_and_agreement_agree_with_scikit_learn(seed: int) -> None:
    draw = np.random.default_rng(seed)
    gold = draw.integers(3, size=80)
    model, teacher = (draw.dirichlet(np.ones(3), size=80) for _ in range(2))
    found = against(gold, model, teacher)
    said, taught = model.argmax(1), teacher.argmax(1)
    share = (said == taught).mean()
    chance = sum((said == c).mean() * (taught == c).mean() for c in range(3))
    assert found["agreement"] == pytest.approx(share, abs=1e-6)
    assert found["kappa"] == pytest.approx((share - chance) / (1 - chance), abs=1e-6)
    assert found["kappa"] == pytest.approx(cohen_kappa_score(said, taught), abs=1e-6)
    assert found["mcnemar"]["b"] == ((taught == gold) & (said != gold)).sum()


def test_two_models_of_one_label_agree_by_chance_alone() -> None:
    one = np.tile([0.9, 0.1], (5, 1))
    found = against(np.zeros(5, dtype=int), one, one)
    assert (found["agreement"], found["kappa"]) == (1.0, 0.0)
