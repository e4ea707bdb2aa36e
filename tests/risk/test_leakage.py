"""Counts to leak rates: hand-computed posteriors, re-weighting, exposed records, membership."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from memory_assets.errors import InputError
from memory_assets.risk.distribution import Beta
from memory_assets.risk.evidence import Membership, Stratum
from memory_assets.risk.leakage import (
    exposed_records,
    leak_rates,
    membership_posteriors,
    membership_rate,
    ppv,
    weighted_posterior,
)


def test_the_posterior_is_jeffreys_and_the_interval_exact():
    (rate,) = leak_rates([Stratum("all", 3, 200)])
    assert (rate.posterior.a, rate.posterior.b) == (3.5, 197.5)
    low, high = rate.clopper_pearson
    # Clopper-Pearson by its definition: the tails at its ends hold 2.5% each.
    assert stats.binom.sf(2, 200, low) == pytest.approx(0.025)
    assert stats.binom.cdf(3, 200, high) == pytest.approx(0.025)
    assert low < rate.credible[0] < rate.posterior.mean < rate.credible[1] < high


def test_pooling_canary_tiers_overstates_and_re_weighting_does_not():
    # Canaries planted evenly over three tiers; real records are nearly all single copies.
    strata = [Stratum("1", 4, 1000), Stratum("10", 150, 1000), Stratum("100", 386, 1000)]
    pooled = sum(s.k for s in strata) / sum(s.n for s in strata)
    rates = leak_rates(strata, {"1": 0.93, "10": 0.05, "100": 0.02})
    weighted = weighted_posterior(rates).mean
    assert pooled == pytest.approx(0.18)
    assert weighted == pytest.approx(0.93 * 0.0045 + 0.05 * 0.1503 + 0.02 * 0.3861, rel=0.01)
    assert weighted < 0.021


def test_the_weighted_posterior_has_the_mixtures_moments():
    rates = leak_rates([Stratum("a", 1, 50, 3.0), Stratum("b", 9, 50, 1.0)])
    rng = np.random.default_rng(0)
    draws = sum(r.share * rng.beta(r.posterior.a, r.posterior.b, 400_000) for r in rates)
    both = weighted_posterior(rates)
    assert both.mean == pytest.approx(draws.mean(), rel=0.01)
    assert both.variance == pytest.approx(draws.var(), rel=0.02)


def test_a_prior_adds_its_pseudo_counts():
    prior = {"all": Beta(a=2, b=98, basis="measured")}
    (rate,) = leak_rates([Stratum("all", 0, 100)], prior=prior)
    assert (rate.posterior.a, rate.posterior.b) == (2, 198)


def test_a_declared_share_that_was_not_probed_is_refused():
    with pytest.raises(InputError, match=r"data\.shares names 'b'.*did not probe"):
        leak_rates([Stratum("a", 0, 10)], {"a": 0.5, "b": 0.5})


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(InputError, match=r"0 <= k <= n"):
        Stratum("s", k, n)


@pytest.mark.parametrize(("n", "p"), [(50, 0.3), (2000, 0.004), (100_000, 0.0002), (1e6, 0.05)])
def test_exposed_records_follow_the_binomial(n, p):
    u = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    ours = exposed_records(n, p, u)
    theirs = stats.binom.ppf(u, int(n), p)
    np.testing.assert_allclose(ours, theirs, atol=2, rtol=0.001)


@given(n=st.floats(1, 1e7), p=st.floats(0, 1), more=st.floats(1, 10), u=st.floats(0.0001, 0.9999))
def test_exposed_records_grow_with_records_and_rate(n, p, more, u):
    here = float(exposed_records(n, p, u))
    assert 0 <= here <= n * (1 + 1e-9)
    assert float(exposed_records(n, min(p * more, 1.0), u)) >= here * (1 - 1e-9)
    # At rates near one half and below, where leak rates live.
    if p <= 0.5 and u >= 0.05:
        assert float(exposed_records(n * more, p, u)) >= here * (1 - 1e-9)


def test_nothing_leaks_at_rate_zero():
    assert exposed_records(1e6, 0.0, 0.999) == 0


def test_ppv_by_hand():
    assert float(ppv(0.4, 0.05, 0.1)) == pytest.approx(0.04 / 0.085)
    assert float(ppv(0.0, 0.0, 0.1)) == 0


def test_an_attack_that_guesses_gives_no_membership_away():
    assert float(membership_rate(0.3, 0.3, 0.1)) == 0
    assert float(membership_rate(0.2, 0.3, 0.1)) == 0
    assert float(membership_rate(0.3, 0.0, 0.1)) == pytest.approx(0.3)


@given(tpr=st.floats(0, 1), fpr=st.floats(0, 1), prior=st.floats(0.001, 0.999), d=st.floats(0, 0.5))
def test_membership_rate_is_monotone_and_below_the_tpr(tpr, fpr, prior, d):
    here = float(membership_rate(tpr, fpr, prior))
    assert 0 <= here <= tpr
    assert float(membership_rate(min(tpr + d, 1), fpr, prior)) >= here - 1e-12
    assert float(membership_rate(tpr, min(fpr + d, 1), prior)) <= here + 1e-12


def test_membership_posteriors_count_both_sides():
    tpr, fpr = membership_posteriors(Membership("x", 4, 10, 1, 20))
    assert (tpr.a, tpr.b, fpr.a, fpr.b) == (4.5, 6.5, 1.5, 19.5)
    with pytest.raises(InputError, match="11 flagged among 10 members"):
        Membership("x", 11, 10, 1, 20)
