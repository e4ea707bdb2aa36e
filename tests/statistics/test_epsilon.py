"""Epsilon lower bounds: closed forms, published values, coverage, and claims held against them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from memory_assets.results.findings import render
from memory_assets.statistics.epsilon import (
    Bonferroni,
    ceiling,
    clopper_pearson_epsilon,
    epsilon_lower_bound,
    epsilon_measurements,
    gaussian_dp_epsilon,
)
from memory_assets.statistics.one_run import one_run_epsilon, one_run_from_pairs
from memory_assets.statistics.roc import Roc, Threshold
from memory_assets.validity.claim import check_claim


def _fixed(*values):
    return Bonferroni(tuple(Threshold(v, ()) for v in values))


@pytest.mark.parametrize(("n", "published"), [(100, 3.28), (1000, 5.60), (10_000, 7.90)])
def test_ceiling_of_a_perfect_attack(n, published):
    right = 0.025 ** (1 / n)
    assert ceiling(n, n) == pytest.approx(math.log(right / (1 - right)), rel=1e-9)
    assert round(ceiling(n, n), 2) == published


def test_ceiling_with_delta():
    right = 0.025 ** (1 / 100)
    assert ceiling(100, 100, delta=0.1) == pytest.approx(math.log((right - 0.1) / (1 - right)))


def test_bound_by_hand_takes_the_better_side():
    low = stats.beta.ppf(0.025, 60, 41)
    high = stats.beta.ppf(0.975, 11, 90)
    expected = max(math.log(low / high), math.log((1 - high) / (1 - low)))
    assert clopper_pearson_epsilon(60, 100, 10, 100) == pytest.approx(expected)
    # The mirror image (hits and alarms exchanged for rejections) shows as much.
    assert clopper_pearson_epsilon(90, 100, 40, 100) == pytest.approx(expected)


@given(k=st.integers(0, 50), f=st.integers(0, 50), delta=st.sampled_from([0.0, 1e-5, 0.1]))
def test_a_bound_is_never_negative_nor_above_its_ceiling(k, f, delta):
    bound = clopper_pearson_epsilon(k, 50, f, 50, delta)
    assert 0 <= bound <= ceiling(50, 50, delta) + 1e-12


def test_bonferroni_pays_for_every_threshold():
    rng = np.random.default_rng(0)
    roc = Roc.of(rng.normal(3, 1, 2000), rng.normal(0, 1, 2000))
    one = epsilon_lower_bound(roc, _fixed(2.0)).estimate.value
    assert epsilon_lower_bound(roc, _fixed(2.0, 2.0)).estimate.value < one
    hits, alarms = roc.counts(2.0)
    assert one == pytest.approx(clopper_pearson_epsilon(int(hits), 2000, int(alarms), 2000))


def test_thresholds_chosen_on_the_reported_scores_are_refused():
    roc = Roc.of(np.arange(100.0), np.arange(100.0))
    with pytest.raises(ValueError, match="cannot be reported"):
        epsilon_lower_bound(roc, Bonferroni((roc.threshold(0.1),)))
    with pytest.raises(ValueError, match="at least one"):
        epsilon_lower_bound(roc, Bonferroni(()))


def test_a_perfect_attack_stands_at_the_ceiling():
    roc = Roc.of(np.arange(100.0) + 1000, np.arange(100.0))
    bound = epsilon_lower_bound(roc, _fixed(500.0))
    assert bound.estimate.status == "at_ceiling"
    assert bound.estimate.value == bound.ceiling == pytest.approx(3.28, abs=0.005)


def test_gaussian_dp_against_its_published_conversion():
    """mu = 1 is (4.377, 1e-5)-DP: corollary 1 of Dong, Roth & Su."""
    rng = np.random.default_rng(0)
    roc = Roc.of(rng.normal(1, 1, 200_000), rng.normal(0, 1, 200_000))
    mu, epsilon = gaussian_dp_epsilon(roc, _fixed(0.5), delta=1e-5)
    assert 0.97 < mu.value <= 1.0
    assert epsilon.estimate.value == pytest.approx(4.377, abs=0.15)

    def delta_of(e, m):
        return stats.norm.cdf(m / 2 - e / m) - math.exp(e) * stats.norm.cdf(-m / 2 - e / m)

    assert delta_of(epsilon.estimate.value, mu.value) == pytest.approx(1e-5, rel=1e-6)
    with pytest.raises(ValueError, match="delta"):
        gaussian_dp_epsilon(roc, _fixed(0.5), delta=0.0)


def test_one_run_with_every_guess_right_has_a_closed_form():
    q = 0.05 ** (1 / 1000)
    bound = one_run_epsilon(1000, 1000, 1000)
    assert bound.estimate.value == pytest.approx(math.log(q / (1 - q)), abs=1e-6)
    assert bound.estimate.status == "at_ceiling"


def test_one_run_without_delta_is_a_one_sided_clopper_pearson():
    low = stats.beta.ppf(0.05, 700, 301)
    found = one_run_epsilon(700, 1000, 4000).estimate
    assert found.value == pytest.approx(math.log(low / (1 - low)), abs=1e-6)
    assert (found.k, found.n) == (700, 1000)


@pytest.mark.parametrize("delta", [1e-6, 1e-4, 1e-3])
def test_one_run_with_delta_by_enumeration(delta):
    """The p-value written out term by term crosses 5% at the bound."""
    v, r, m = 45, 60, 100
    bound = one_run_epsilon(v, r, m, delta).estimate.value
    assert 0 < bound < one_run_epsilon(v, r, m).estimate.value

    def p_value(epsilon):
        q = 1 / (1 + math.exp(-epsilon))
        pmf = [math.comb(r, b) * q**b * (1 - q) ** (r - b) for b in range(r + 1)]
        worst = max(sum(pmf[v - i : v]) / i for i in range(1, v + 1))
        return sum(pmf[v:]) + 2 * m * delta * worst

    assert p_value(bound - 1e-6) <= 0.05 <= p_value(bound + 1e-6)


def test_one_run_no_better_than_coins_shows_nothing():
    assert one_run_epsilon(500, 1000, 1000).estimate.value == 0.0
    assert one_run_epsilon(0, 10, 10, 0.1).estimate.value == 0.0


def test_pairs_are_guessed_by_the_higher_score_and_ties_are_wrong():
    scores = np.array([[0.0, 9.0], [5.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    side = np.array([1, 0, 0, 1])
    assert one_run_from_pairs(scores, side).estimate.k == 2
    assert one_run_from_pairs(scores, side, share=0.5).estimate.k == 2
    assert one_run_from_pairs(scores, side, share=0.5).estimate.n == 2
    with pytest.raises(ValueError, match="share"):
        one_run_from_pairs(scores, side, share=0.0)
    with pytest.raises(ValueError, match="scores"):
        one_run_from_pairs(scores, side[:3])


@pytest.mark.parametrize(
    "call",
    [
        lambda: one_run_epsilon(5, 4, 10),
        lambda: one_run_epsilon(0, 0, 10),
        lambda: one_run_epsilon(1, 2, 3, delta=1.0),
        lambda: clopper_pearson_epsilon(1, 2, 0, 2, delta=-0.1),
    ],
)
def test_impossible_audits_are_refused(call):
    with pytest.raises(ValueError, match="must|needs"):  # noqa: RUF043
        call()


def test_a_claim_is_falsified_or_not_but_never_proved():
    bound = one_run_epsilon(900, 1000, 1000)
    shown = bound.estimate.value
    assert check_claim(shown - 0.1, bound).verdict == "falsified"
    open_claim = check_claim(shown + 0.1, bound)
    assert open_claim.verdict == "not falsified"
    assert "does not prove it" in render(open_claim.found)
    untested = check_claim(bound.ceiling + 1, bound)
    assert untested.verdict == "not falsified"
    assert "not put to a test" in render(untested.found)
    for claimed in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="positive"):
            check_claim(claimed, bound)


def test_the_bound_is_reported_with_its_ceiling():
    rows = {m.metric: m for m in epsilon_measurements("loss", one_run_epsilon(90, 100, 100))}
    assert set(rows) == {"one_run_lower_bound", "one_run_ceiling"}
    assert all(m.unit == "nats" and m.family == "epsilon" for m in rows.values())


@pytest.mark.slow
def test_bounds_hold_for_randomized_response():
    """Scores that are epsilon-DP by construction: at most 5% of 200 bounds may exceed epsilon."""
    epsilon, n = 1.0, 400
    rng = np.random.default_rng(7)
    keep = 1 / (1 + math.exp(-epsilon))
    over = one_run_over = 0
    for _ in range(200):
        member = rng.random(2 * n) < 0.5
        answer = np.where(rng.random(2 * n) < keep, member, ~member).astype(float)
        answer += rng.uniform(-0.1, 0.1, 2 * n)  # noise after the fact costs no privacy
        roc = Roc.of(2 * answer[member] - 1, 2 * answer[~member] - 1)
        over += epsilon_lower_bound(roc, _fixed(-1.0, 0.0, 1.0)).estimate.value > epsilon
        right = int(((answer > 0.5) == member).sum())
        one_run_over += one_run_epsilon(right, 2 * n, 2 * n).estimate.value > epsilon
    assert over <= 17  # 5% of 200 and two standard deviations
    assert one_run_over <= 17
