"""Intervals against closed forms, tables and exact coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from memory_assets.statistics.intervals import (
    clean_probes,
    clopper_pearson,
    mean_interval,
    open_rate,
    rate,
    skewed_mean_interval,
)


def test_no_hits_has_the_closed_form():
    low, high = clopper_pearson(0, 100)
    assert low == 0.0
    assert high == pytest.approx(1 - 0.025 ** (1 / 100), rel=1e-12)


def test_all_hits_mirrors_no_hits():
    low, high = clopper_pearson(100, 100)
    assert high == 1.0
    assert low == pytest.approx(0.025 ** (1 / 100), rel=1e-12)


def test_agrees_with_scipy_exact_test():
    reference = stats.binomtest(81, 263).proportion_ci(0.95, method="exact")
    assert clopper_pearson(81, 263) == pytest.approx((reference.low, reference.high), rel=1e-10)


@pytest.mark.parametrize(("rate", "probes"), [(0.01, 299), (0.001, 2995)])
def test_clean_probes_needed_for_a_claimed_rate(rate, probes):
    assert clean_probes(rate) == probes
    assert probes == pytest.approx(3 / rate, rel=0.01)
    # One-sided 95%: one probe fewer leaves more than 5% for a rate that high.
    assert open_rate(probes) <= rate < open_rate(probes - 1)
    assert open_rate(probes) == pytest.approx(clopper_pearson(0, probes, confidence=0.90)[1])


@given(n=st.integers(1, 40), p=st.floats(0.001, 0.999))
def test_covers_at_least_nominally_for_every_rate(n, p):
    k = np.arange(n + 1)
    covered = [low <= p <= high for low, high in (clopper_pearson(int(i), n) for i in k)]
    assert stats.binom.pmf(k, n, p)[covered].sum() >= 0.95 - 1e-9


@given(n=st.integers(1, 500), data=st.data())
def test_rate_lies_inside_its_interval_and_carries_its_sample(n, data):
    k = data.draw(st.integers(0, n))
    r = rate(k, n)
    assert (r.k, r.n, r.value) == (k, n, k / n)
    assert 0 <= r.ci_low <= r.value <= r.ci_high <= 1


@pytest.mark.parametrize(("k", "n", "c"), [(0, 0, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_impossible_samples_are_refused(k, n, c):
    with pytest.raises(ValueError, match=r"must|needs"):
        clopper_pearson(k, n, c)


def test_mean_interval_is_student_t():
    x = np.array([1.0, 2.0, 4.0, 7.0])
    reference = stats.ttest_1samp(x, 0).confidence_interval(0.95)
    m = mean_interval(x)
    assert (m.value, m.n) == (3.5, 4)
    assert (m.ci_low, m.ci_high) == pytest.approx((reference.low, reference.high))


def test_equal_values_get_no_interval_of_width_zero():
    assert mean_interval([0.3] * 5).status == "unresolvable"
    assert mean_interval([0.3]).status == "unresolvable"
    ones = mean_interval([1.0] * 100, bounds=(0.0, 1.0))
    assert ones.ci_high == 1.0
    assert ones.ci_low == pytest.approx(clopper_pearson(100, 100)[0])


def test_mean_interval_stays_inside_its_bounds():
    m = mean_interval([0.0, 1.0, 1.0], bounds=(0.0, 1.0))
    assert m.ci_low == 0.0
    assert m.ci_high == 1.0


def test_a_skewed_mean_reaches_further_on_its_long_side():
    x = np.array([0.1, 0.2, 0.2, 0.3, 0.5, 0.8, 1.5, 4.0])
    plain, skewed = mean_interval(x), skewed_mean_interval(x)
    assert skewed.value == plain.value
    assert skewed.ci_high - plain.ci_high > 0.5
    assert skewed.ci_low > plain.ci_low
    mirrored = skewed_mean_interval(-x)
    assert (mirrored.ci_low, mirrored.ci_high) == pytest.approx((-skewed.ci_high, -skewed.ci_low))
    # Hall's cubic, evaluated at the upper end, gives Student's quantile back.
    n, skew = len(x), stats.skew(x, bias=False)
    t = (x.mean() - skewed.ci_high) / x.std(ddof=1)
    cubic = t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / (6 * n)
    assert cubic == pytest.approx(-stats.t.ppf(0.975, n - 1) / n**0.5)


def test_without_skew_or_spread_a_skewed_mean_is_the_plain_one():
    for x in ([1.0, 2.0, 3.0], [1.0, 5.0], [0.3] * 4):
        assert skewed_mean_interval(x) == mean_interval(x)
    assert skewed_mean_interval([0.0, 0.0, 9.0], bounds=(0.0, 10.0)).ci_high == 10.0


@pytest.mark.parametrize("bad", [[], [np.nan, 1.0], [np.inf]])
def test_mean_of_nothing_or_of_nan_is_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        mean_interval(bad)
