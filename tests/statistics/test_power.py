"""What a sample can show is what samples show: simulated by the very intervals that decide."""

import numpy as np
import pytest

from memory_assets.statistics import power
from memory_assets.statistics.intervals import rate
from memory_assets.statistics.roc import Roc


def sample(rng, n, shape, effect):
    members, others = rng.normal(size=(2, n))
    if shape == "all":
        return Roc.of(members + effect, others)
    return Roc.of(np.where(rng.random(n) < effect, 50.0, members), others)


@pytest.mark.parametrize("shape", power.SHAPES)
@pytest.mark.parametrize(("n", "fpr"), [(300, 0.1), (300, 0.01)])
def test_the_least_tpr_is_seen_four_times_of_five(shape, n, fpr):
    least = power.detectable_tpr(n, n, fpr, shape)
    effect = (least - fpr) / (1 - fpr)
    if shape == "all":
        effect = float(power.ndtri(least) - power.ndtri(fpr))
    rng = np.random.default_rng(1)
    seen = [sample(rng, n, shape, effect).tpr_at_fpr(fpr).ci_low > fpr for _ in range(400)]
    assert 0.72 <= np.mean(seen) <= 0.88  # 0.8, to four standard errors


@pytest.mark.parametrize("fpr", [0.1, 0.01])
def test_the_least_limit_is_passed_by_guessing_four_times_of_five(fpr):
    least = power.passable_tpr(400, 400, fpr)
    rng = np.random.default_rng(2)
    passed = [sample(rng, 400, "few", 0.0).tpr_at_fpr(fpr).ci_high <= least for _ in range(400)]
    assert 0.72 <= np.mean(passed) <= 0.88


def test_many_intervals_at_once_are_those_of_the_roc():
    rng = np.random.default_rng(3)
    for n, fpr in ((50, 0.1), (400, 0.01), (150, 0.01)):
        roc = sample(rng, n, "all", 1.0)
        cuts = roc.non_members[n - np.array(power._ranks(n, fpr, 0.95))]
        hits = roc.counts(cuts)[0][:, None]
        low, high = power.tpr_intervals(hits, n, n, fpr)
        found = roc.tpr_at_fpr(fpr)
        assert (low[0], high[0]) == pytest.approx((found.ci_low, found.ci_high), abs=1e-9)


def test_auc_by_closed_form_is_the_auc_of_samples():
    n, rng = 150, np.random.default_rng(4)
    shift = np.sqrt(2) * power.ndtri(power.detectable_auc(n, n))
    seen = [sample(rng, n, "all", shift).auc().ci_low > 0.5 for _ in range(400)]
    assert 0.72 <= np.mean(seen) <= 0.88
    least = power.passable_auc(n, n)
    passed = [sample(rng, n, "all", 0.0).auc().ci_high < least for _ in range(400)]
    assert 0.72 <= np.mean(passed) <= 0.88


def test_figures_of_the_shipped_size():
    # 719 of each: near 3% where a few records leak wholly, two to three times that if all do.
    few, every = (power.detectable_tpr(719, 719, 0.01, shape) for shape in power.SHAPES)
    assert 0.02 < few < 0.035
    assert 0.05 < every < 0.1
    assert power.passable_tpr(719, 719, 0.01) > 0.02  # a limit of 2% can never be passed


def test_more_records_and_more_models_see_less():
    by_n = [power.detectable_tpr(n, n, 0.1, "all") for n in (50, 200, 1000)]
    assert by_n == sorted(by_n, reverse=True)
    by_k = [power.detectable_tpr(200, 200, 0.1, "all", k) for k in (4, 16, 64, None)]
    assert by_k == sorted(by_k, reverse=True)
    assert power.detectable_tpr(200, 200, 0.1, "few", 4) == power.detectable_tpr(
        200, 200, 0.1, "few"
    )
    assert power.detectable_auc(50, 50, 4) > power.detectable_auc(50, 50, 64)


def test_what_cannot_be_resolved_has_no_least_effect():
    assert power.detectable_tpr(99, 99, 0.01, "few") is None
    assert power.passable_tpr(99, 99, 0.01) is None
    assert power.detectable_auc(1, 1) is None


@pytest.mark.parametrize(("true", "limit"), [(0.03, 0.05), (0.08, 0.05), (0.0, 0.01)])
def test_records_for_a_rate_settle_it_four_times_of_five(true, limit):
    n = power.records_for_rate(true, limit, 0.95)
    hits = np.random.default_rng(5).binomial(n, true, 2000)
    ends = {int(k): rate(int(k), n) for k in np.unique(hits)}
    settled = [ends[int(k)].ci_high < limit or ends[int(k)].ci_low > limit for k in hits]
    assert np.mean(settled) >= 0.77


def test_records_for_a_tpr_settle_it_four_times_of_five():
    n = power.records_for_tpr(0.1, 0.1, 0.2)
    rng = np.random.default_rng(6)
    settled = [sample(rng, n, "all", 0.0).tpr_at_fpr(0.1).ci_high < 0.2 for _ in range(300)]
    assert np.mean(settled) >= 0.72
    assert power.records_for_tpr(0.2, 0.1, 0.2) is None


def test_hits_that_should_never_happen():
    assert 1 - (1 - power.detectable_rate(100)) ** 100 == pytest.approx(0.8)
    assert power.passable_rate(100) == rate(0, 100).ci_high
