"""Feldman-Zhang scores against hand counts, exact coverage and the generalization gap."""

import learners
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from memory_assets.memorization.per_record import (
    measure_records,
    score_records,
    share_memorized,
)


def measured(signals):
    return {m.metric: m.estimate for m in measure_records(signals, score_records(signals))}


def test_a_record_counted_by_hand():
    side = np.array([[0], [1], [0], [1]], dtype=np.uint8)
    correct = np.array([[[1, 0]], [[0, 1]], [[1, 0]], [[1, 0]]], dtype=bool)
    scores = score_records(learners.pool(side, correct))
    # Side 0: IN in models 0 and 2, right in both; OUT in 1 and 3, right in one.
    assert scores.value[0, 0] == 1.0 - 0.5
    # Side 1: IN in models 1 and 3, right in one; OUT in 0 and 2, right in none.
    assert scores.value[0, 1] == 0.5 - 0.0
    assert scores.count_in.tolist() == [[2, 2]]
    # Agresti-Caffo: (2+1)/4 - (1+1)/4 = 1/4, variance (3/16)/4 + (1/4)/4 = 7/64; the couples
    # (1,0), (1,1) do not oppose each other.
    half = stats.norm.ppf(0.975) * np.sqrt(7 / 64)
    assert scores.low[0, 0] == pytest.approx(0.25 - half)
    assert scores.high[0, 0] == pytest.approx(0.25 + half)


@pytest.mark.parametrize("side_models", [4, 16, 64])
def test_interval_covers_by_exact_enumeration(side_models):
    # Every outcome (a of m IN, b of m OUT) as a pool of its own, models of a couple unrelated.
    m = side_models
    k = np.arange(m + 1)
    p_more, half = (k + 1) / (m + 2), stats.norm.ppf(0.975)
    a, b = np.meshgrid(p_more, p_more, indexing="ij")
    width = half * np.sqrt((a * (1 - a) + b * (1 - b)) / (m + 2))
    coverage = []
    for p in np.linspace(0.01, 0.99, 25):
        for q in np.linspace(0.01, p, 10):
            weight = np.outer(stats.binom.pmf(k, m, p), stats.binom.pmf(k, m, q))
            inside = np.abs(a - b - (p - q)) <= width
            coverage.append((weight * inside).sum())
    assert min(coverage) > 0.87
    assert np.mean(coverage) > 0.95
    # And it is this interval that the code gives, here for all correct IN and half OUT.
    side = learners.masks(2 * m, 1, np.random.default_rng(0))
    inside = learners.is_in(side)
    correct = inside.copy()
    out_rows = np.flatnonzero(~inside[:, 0, 0])
    correct[out_rows[: m // 2], 0, 0] = True
    scores = score_records(learners.pool(side, correct))
    assert scores.high[0, 0] == pytest.approx(
        min(a[m, m // 2] - b[m, m // 2] + width[m, m // 2], 1)
    )
    assert scores.low[0, 0] == pytest.approx(a[m, m // 2] - b[m, m // 2] - width[m, m // 2])


def test_opposed_couples_widen_the_interval():
    # One record decides both models of a couple the other way round: IN right iff OUT wrong.
    side = learners.masks(32, 1, np.random.default_rng(3))
    luck = np.random.default_rng(4).permutation(16) < 8
    inside = learners.is_in(side)
    opposed = np.where(inside, luck.repeat(2)[:, None, None], ~luck.repeat(2)[:, None, None])
    unrelated = opposed.copy()
    rows = np.flatnonzero(~inside[:, 0, 0])
    # As many right answers OUT, half of them where IN is right too: no covariance.
    unrelated[rows[np.argsort(luck)], 0, 0] = np.tile([True, False], 8)
    wide, narrow = (score_records(learners.pool(side, c)) for c in (opposed, unrelated))
    assert wide.value[0, 0] == narrow.value[0, 0] == 0.0
    assert wide.high[0, 0] == pytest.approx(np.sqrt(2) * narrow.high[0, 0])


@settings(max_examples=40)
@given(couples=st.integers(2, 12), pairs=st.integers(1, 15), seed=st.integers(0, 10**6))
def test_mean_memorization_is_the_generalization_gap(couples, pairs, seed):
    rng = np.random.default_rng(seed)
    side = learners.masks(2 * couples, pairs, rng)
    correct = rng.random((2 * couples, pairs, 2)) < rng.random((pairs, 2))
    signals = learners.pool(side, correct)
    inside = learners.is_in(side)
    gap = correct[inside].mean() - correct[~inside].mean()
    assert score_records(signals).value.mean() == pytest.approx(gap, abs=1e-12)
    found = measured(signals)
    assert found["mean_memorization"].value == pytest.approx(gap, abs=1e-12)
    assert found["in_accuracy"].value == pytest.approx(correct[inside].mean(), abs=1e-12)
    assert found["mean_memorization"].n == couples


def test_interval_of_the_gap_covers_when_the_pool_is_drawn_again():
    truth, covered = 0.12, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        side = learners.masks(16, 40, rng)
        chance = np.where(learners.is_in(side), 0.82, 0.7)
        found = measured(learners.pool(side, rng.random((16, 40, 2)) < chance))
        covered += found["mean_memorization"].ci_low <= truth <= found["mean_memorization"].ci_high
    assert 180 <= covered <= 200  # binomial(200, 0.95): 180 lies 3.2 sd below


@pytest.mark.parametrize("models", [32, 256])
def test_learners(models):
    memoriser = measured(learners.memoriser(models, 40))
    assert memoriser["mean_memorization"].value == 1.0
    assert memoriser["mean_memorization"].ci_low < 1.0 == memoriser["mean_memorization"].ci_high
    assert memoriser["share_above_0.25"].value == 1.0
    constant = measured(learners.constant(models, 40))
    assert constant["mean_memorization"].value == 0.0
    assert constant["mean_memorization"].ci_low < 0 < constant["mean_memorization"].ci_high
    assert constant["share_above_0.25"].value == 0.0
    coin = measured(learners.coin(models, 200))["mean_memorization"]
    assert coin.ci_low < 0 < coin.ci_high
    interpolator = measured(learners.interpolator(models, 200))["mean_memorization"]
    assert interpolator.ci_low < 0.3 < interpolator.ci_high


def test_share_of_memorized_records_covers_the_true_share():
    rng = np.random.default_rng(5)
    for _ in range(30):
        side = learners.masks(64, 60, rng)
        memorized = rng.random((60, 2)) < 0.2
        chance = np.where(learners.is_in(side) & memorized, 0.95, 0.15)
        found = share_memorized(
            score_records(learners.pool(side, rng.random((64, 60, 2)) < chance))
        )
        assert found.n == 120
        assert found.ci_low <= memorized.mean() <= found.ci_high
        assert found.ci_low > 0


def test_couples_are_needed_for_the_gap_but_not_for_a_record():
    side = np.array([[0], [0], [0], [1], [1]], dtype=np.uint8)
    signals = learners.pool(side, np.ones((5, 1, 2), dtype=bool))
    scores = score_records(signals)
    assert scores.value.tolist() == [[0.0, 0.0]]
    with pytest.raises(ValueError, match="couples"):
        measure_records(signals, scores)


@pytest.mark.parametrize(
    ("side", "told"),
    [
        (np.array([[0], [1]], dtype=np.uint8), "at least 2 IN and 2 OUT"),
        (np.array([[0, 0], [0, 1], [0, 0], [0, 1]], dtype=np.uint8), "pair 0 .* only 0"),
        (np.zeros((4, 0), dtype=np.uint8), "no pair"),
    ],
)
def test_pools_that_say_nothing_of_a_record_are_refused(side, told):
    with pytest.raises(ValueError, match=told):
        score_records(learners.pool(side, np.ones((*side.shape, 2), dtype=bool)))
