"""ROC, AUC and rates: closed forms, exact ties, an independent implementation, coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

from memory_assets.statistics.intervals import clopper_pearson
from memory_assets.statistics.roc import Roc, Threshold
from memory_assets.statistics.summary import (
    positive_predictive_value,
    shadow_threshold,
    summarize,
)

TIED = st.lists(st.integers(-3, 3), min_size=1, max_size=25)


def _labelled(members, non_members):
    labels = np.r_[np.ones(len(members)), np.zeros(len(non_members))]
    return labels, np.r_[np.asarray(members, float), np.asarray(non_members, float)]


@settings(max_examples=50)
@given(members=TIED, non_members=TIED)
def test_auc_and_rates_equal_scikit_learn_with_ties(members, non_members):
    roc = Roc.of(members, non_members)
    labels, scores = _labelled(members, non_members)
    auc = roc.auc()
    if auc.status == "ok":
        assert auc.value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
        assert auc.ci_low <= auc.value <= auc.ci_high
        assert auc.ci_low < auc.ci_high
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    for a in (0.5, 0.1):
        found = roc.tpr_at_fpr(a)
        if found.status == "ok":
            assert found.value == pytest.approx(
                _joined(fpr, tpr, roc.allowed(a) / len(non_members))
            )
            assert found.ci_low <= found.value <= found.ci_high
        else:
            assert 1 / len(non_members) > a


def _joined(fpr, tpr, at):
    """The TPR on the straight lines between the vertices of an ROC; the upper end of a step."""
    last = int(np.flatnonzero(fpr <= at + 1e-12)[-1])
    if last == len(fpr) - 1:
        return tpr[last]
    share = (at - fpr[last]) / (fpr[last + 1] - fpr[last])
    return tpr[last] + share * (tpr[last + 1] - tpr[last])


@settings(max_examples=50)
@given(members=TIED, non_members=TIED)
def test_curve_is_made_of_exact_vertices(members, non_members):
    curve = Roc.of(members, non_members).curve()
    labels, scores = _labelled(members, non_members)
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    exact = {(round(a, 12), round(b, 12)) for a, b in zip(fpr, tpr, strict=True)}
    found = {(round(a, 12), round(b, 12)) for a, b in zip(curve.fpr, curve.tpr, strict=True)}
    assert found <= exact
    assert (0.0, 0.0) in found
    assert (1.0, 1.0) in found
    assert (np.diff(curve.fpr) >= 0).all()
    assert (np.diff(curve.tpr) >= 0).all()


def test_curve_stays_small_and_reaches_the_corner_of_one_false_alarm():
    rng = np.random.default_rng(0)
    roc = Roc.of(rng.normal(1, 1, 30_000), rng.normal(0, 1, 30_000))
    curve = roc.curve()
    assert curve.fpr.size <= 400
    assert 1 / 30_000 in curve.fpr


@given(members=TIED, non_members=TIED, scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
def test_only_the_order_of_scores_matters(members, non_members, scale, shift):
    x, z = np.asarray(members, float), np.asarray(non_members, float)
    one, other = Roc.of(x, z), Roc.of(x * scale + shift, z * scale + shift)
    assert one.auc() == other.auc()
    assert one.tpr_at_fpr(0.2) == other.tpr_at_fpr(0.2)


def test_delong_variance_by_its_definition():
    """Sample variances of the placements, from all pairs, on the logit scale."""
    rng = np.random.default_rng(1)
    x, z = rng.integers(0, 12, 40) + 2.0, rng.integers(0, 12, 30) + 0.0
    wins = (x[:, None] > z) + 0.5 * (x[:, None] == z)
    auc = wins.mean()
    variance = wins.mean(1).var(ddof=1) / 40 + wins.mean(0).var(ddof=1) / 30
    half = 1.959963984540054 * np.sqrt(variance) / (auc * (1 - auc))
    found = Roc.of(x, z).auc()
    logit = np.log(auc / (1 - auc))
    expected = 1 / (1 + np.exp(-(logit + half * np.array([-1, 1]))))
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(expected))


def test_perfect_separation_keeps_an_honest_interval():
    auc = Roc.of([2.0] * 50, [1.0] * 80).auc()
    assert (auc.value, auc.ci_high) == (1.0, 1.0)
    assert auc.ci_low == pytest.approx(clopper_pearson(50, 50)[0])
    reverse = Roc.of([1.0] * 50, [2.0] * 80).auc()
    assert (reverse.value, reverse.ci_low) == (0.0, 0.0)
    assert reverse.ci_high == pytest.approx(clopper_pearson(0, 50)[1])


def test_trap_a_rate_below_one_in_n_is_unresolvable_not_interpolated():
    roc = Roc.of(np.arange(100.0) + 1000, np.arange(99.0))
    assert roc.tpr_at_fpr(0.01).status == "unresolvable"
    assert roc.tpr_at_fpr(0.01).value is None
    assert Roc.of(np.arange(100.0) + 1000, np.arange(100.0)).tpr_at_fpr(0.01).value == 1.0


def test_ties_are_parted_by_lot():
    roc = Roc.of([3.0, 2.0, 2.0, 1.0], [2.0, 2.0, 0.0, 0.0])
    # One false alarm is allowed: of the two non-members at 2, and so half of the members there.
    assert roc.tpr_at_fpr(0.25).value == 0.5
    assert roc.tpr_at_fpr(0.5).value == 1.0
    assert roc.threshold(0.25) == Threshold(2.0, (roc.rows,), 0.5)


def test_a_block_of_ties_at_the_top_gives_the_rate_of_guessing_within_it():
    """Nearest neighbour, asked for labels: right on all members and on 72% of the others."""
    roc = Roc.of([1.0] * 700, [1.0] * 504 + [0.0] * 196)
    found = roc.tpr_at_fpr(0.01)
    assert found.value == pytest.approx(0.01 / 0.72)
    assert found.ci_low < 0.01 < 0.01 / 0.72 < found.ci_high < 0.05


@pytest.mark.parametrize("levels", [2, 3, 10])
def test_the_interval_of_a_rate_at_an_fpr_holds_with_ties(levels):
    """Scores of a few levels, at random: the truth lies on the population's ROC."""
    rng = np.random.default_rng(levels)
    chances = np.linspace(1, 2, levels)[::-1] / np.linspace(1, 2, levels).sum()
    member, other = chances[::-1], chances  # the top level is twice as likely for a member
    assert other[-1] > 0.05
    truth = 0.05 * member[-1] / other[-1]
    found = [
        Roc.of(rng.choice(levels, 200, p=member), rng.choice(levels, 200, p=other)).tpr_at_fpr(0.05)
        for _ in range(300)
    ]
    assert np.mean([f.ci_low <= truth <= f.ci_high for f in found]) >= 0.95
    assert np.mean([f.value for f in found]) == pytest.approx(truth, rel=0.1)


def test_products_that_fall_short_of_a_whole_number_are_not_rounded_down():
    roc = Roc.of(np.arange(100.0), np.arange(100.0))
    assert roc.allowed(0.29) == 29  # 0.29 * 100 is 28.999999999999996


@pytest.mark.parametrize(
    ("members", "non_members", "reason"),
    [
        ([], [1.0], "0 members"),
        ([1.0], [], "0 non-members"),
        ([np.nan], [1.0], "finite"),
        ([1.0], [np.inf, 0.0], "finite"),
        ([[1.0], [2.0]], [1.0], "one model"),
    ],
)
def test_scores_that_make_no_roc_are_refused(members, non_members, reason):
    with pytest.raises(ValueError, match=reason):
        Roc.of(members, non_members)


def test_constant_scores_are_as_good_as_guessing(recwarn):
    """Known to be so: it is no question of how many records there are."""
    found = {m.metric: m.estimate for m in summarize(Roc.of([1.0] * 2000, [1.0] * 2000), "x", 1)}
    assert found["auc"].value == found["balanced_accuracy"].value == 0.5
    assert found["auc"].ci_low == pytest.approx(0.5 - clopper_pearson(0, 2000)[1] / 2)
    for a in (0.1, 0.01, 0.001):
        rate = found[f"tpr_at_fpr_{a:g}"]
        assert rate.value == pytest.approx(a)
        assert rate.ci_low < a < rate.ci_high < 2 * a + 0.003
    assert not recwarn.list


def test_models_that_answer_alike_are_not_the_same_rows():
    scores = [2.0] * 30, [1.0] * 30
    one, other = Roc.of(*scores, "shadow 0"), Roc.of(*scores, "target 0")
    assert other.at(one.threshold(0.1))[0].value == 1.0
    with pytest.raises(ValueError, match="cannot be reported"):
        one.at(one.threshold(0.1))


def test_a_threshold_of_shadows_within_ties_keeps_their_share():
    shadows = [Roc.of([1.0] * 40, [1.0] * k + [0.0] * (40 - k)) for k in (20, 30, 40)]
    threshold = shadow_threshold(shadows, 0.1)
    assert threshold is not None
    assert (threshold.value, threshold.tied) == (1.0, pytest.approx(4 / 30))
    tpr, fpr = Roc.of([1.0] * 40, [1.0] * 30 + [0.0] * 10, "target").at(threshold)
    assert tpr.value == pytest.approx(4 / 30)
    assert (fpr.value, fpr.k) == (pytest.approx(0.1), 4)


def test_a_threshold_is_refused_on_the_rows_it_was_chosen_on():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(2, 300))
    roc = Roc.of(*scores)
    again = Roc.of(*scores[:, rng.permutation(300)])  # the same rows by content, in another order
    first, second = roc.halves()
    for threshold, reported in (
        (roc.threshold(0.1), roc),
        (roc.threshold(0.1), again),
        (roc.threshold(0.1), first),
        (first.threshold(0.1), roc),
        (first.threshold(0.1), first),
    ):
        with pytest.raises(ValueError, match="cannot be reported"):
            reported.at(threshold)
    tpr, fpr = second.at(first.threshold(0.1))
    assert (tpr.n, fpr.n) == (150, 150)
    assert roc.at(Threshold(0.0, ()))[0].n == 300


def test_halves_part_the_rows():
    roc = Roc.of(np.arange(11.0), np.arange(7.0) - 20)
    first, second = roc.halves()
    assert sorted([*first.members, *second.members]) == list(range(11))
    assert (first.non_members.size, second.non_members.size) == (3, 4)
    with pytest.raises(ValueError, match="half already"):
        first.halves()
    with pytest.raises(ValueError, match="two"):
        Roc.of([1.0], [2.0]).halves()


def test_shadow_threshold_is_the_median_of_their_own():
    shadows = [Roc.of([0.0], np.arange(10.0) + shift) for shift in (0, 1, 50)]
    threshold = shadow_threshold(shadows, 0.1)
    assert threshold is not None
    assert threshold.value == 9.0
    assert len(threshold.chosen_on) == 3
    with pytest.raises(ValueError, match="cannot be reported"):
        shadows[1].at(threshold)
    assert shadow_threshold(shadows, 0.01) is None


def test_ppv_by_hand():
    roc = Roc.of([1.0] * 80 + [0.0] * 20, [1.0] * 5 + [0.0] * 95)
    ppv = positive_predictive_value(roc, Threshold(0.5, ()), prior=0.01)
    assert ppv.value == pytest.approx(0.01 * 0.8 / (0.01 * 0.8 + 0.99 * 0.05))
    assert ppv.ci_low < ppv.value < ppv.ci_high
    nothing = positive_predictive_value(roc, Threshold(2.0, ()), prior=0.01)
    assert nothing.status == "unresolvable"
    with pytest.raises(ValueError, match="prior"):
        positive_predictive_value(roc, Threshold(0.5, ()), prior=1.0)


def test_gaussian_scores_have_the_known_curve():
    rng = np.random.default_rng(5)
    roc = Roc.of(rng.normal(1, 1, 40_000), rng.normal(0, 1, 40_000))
    assert roc.auc().value == pytest.approx(stats.norm.cdf(1 / 2**0.5), abs=0.006)
    for a in (0.1, 0.01, 0.001):
        known = stats.norm.cdf(1 + stats.norm.ppf(a))
        assert roc.tpr_at_fpr(a).value == pytest.approx(known, abs=4 * (known / 40_000) ** 0.5 + a)
    assert roc.balanced_accuracy().value == pytest.approx(stats.norm.cdf(0.5), abs=0.01)


def test_the_interval_of_a_rate_at_an_fpr_by_hand():
    """1,000 non-members 1 to 1,000, FPR 10%: the threshold's true FPR is at most 10% above the
    82nd highest and at least 10% above the 120th (binomial 2.5% and 97.5%: 82 and 119)."""
    members = np.concatenate([np.full(40, 950.5), np.full(30, 890.5), np.full(30, 0.5)])
    found = Roc.of(members, np.arange(1.0, 1001.0)).tpr_at_fpr(0.1)
    assert (found.k, found.value) == (40, 0.4)
    low, high = stats.binomtest(40, 100).proportion_ci(0.95, method="exact")
    assert found.ci_low == pytest.approx(low)  # all 40 lie above the 82nd, too
    assert found.ci_high == pytest.approx(0.4 + np.hypot(high - 0.4, 0.3))


def test_a_rate_that_even_the_highest_non_member_may_exceed_is_cut_in_proportion():
    members = np.concatenate([np.full(50, 2000.0), np.zeros(50)])
    found = Roc.of(members, np.arange(1.0, 1001.0)).tpr_at_fpr(0.001)
    low = stats.binomtest(50, 100).proportion_ci(0.95, method="exact").low
    surely = 0.5 * 0.001 / (1 - 0.025 ** (1 / 1000))
    assert found.ci_low == pytest.approx(0.5 - np.hypot(0.5 - low, 0.5 - surely))


def test_balanced_accuracy_of_noise_is_not_lifted_by_its_own_choice():
    rng = np.random.default_rng(0)
    found = [Roc.of(*rng.normal(size=(2, 40))).balanced_accuracy() for _ in range(200)]
    assert np.mean([f.value for f in found]) == pytest.approx(0.5, abs=0.015)
    covered = np.mean([f.ci_low <= 0.5 <= f.ci_high for f in found])
    assert covered >= 0.92


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("n", [30, 300])
def test_auc_interval_covers_near_its_nominal_rate(gain, n):
    """200 repeats, null included: binomial spread of a 95% coverage is 0.015."""
    rng = np.random.default_rng(int(n + 10 * gain))
    known = stats.norm.cdf(gain / 2**0.5)
    found = [Roc.of(rng.normal(gain, 1, n), rng.normal(0, 1, n)).auc() for _ in range(200)]
    covered = np.mean([f.ci_low <= known <= f.ci_high for f in found])
    assert 0.90 <= covered <= 0.99
    assert np.mean([f.value for f in found]) == pytest.approx(known, abs=0.02)
