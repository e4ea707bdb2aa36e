"""Frequency, severity and the compound tail against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from memory_assets.risk.distribution import Distribution, Fixed, Lognormal, Uniform
from memory_assets.risk.profile import Exposure, Loss, Transfer
from memory_assets.risk.simulation import (
    Leak,
    Streams,
    expected_incident_loss,
    incident_loss,
    incidents_per_year,
    insured,
    leaks_per_year,
    simulate,
)
from memory_assets.risk.tail import AnnualLosses

FUTURES, HORIZON = 60_000, 4


def fixed(value: float) -> Fixed:
    return Fixed(value=value)


def plain_exposure(rate: float, releases: float = 1e9) -> Exposure:
    """As many incidents a year as `rate`, when every query leaks; no clustering to speak of."""
    one, none = fixed(1), fixed(0)
    return Exposure(
        release="internal",
        queries=fixed(rate),
        hit_share=one,
        campaigns=none,
        targets=none,
        escalation=one,
        releases=fixed(releases),
    )


def plain_loss(**parts: Distribution) -> Loss:
    names = ("incident_records", "fixed", "per_record", "claim_share", "claim_award", "churn")
    return Loss(revenue=fixed(0), **{**{n: fixed(0) for n in names}, **parts})


def whole(futures: int = FUTURES, exposed: float = 1e9) -> Leak:
    one = np.ones(futures)
    return Leak(one, np.zeros(futures), one, np.full(futures, exposed))


def run(exposure: Exposure, loss: Loss, seed: int = 3, **leak: float):
    return simulate([whole(**leak)], exposure, loss, Streams(seed), FUTURES, HORIZON)[0]


class Exponential(Fixed):
    """A severity whose sums have a closed form: the sum of k is a gamma."""

    def quantile(self, u):
        return -self.value * np.log1p(-np.asarray(u))


def test_compound_poisson_of_exponentials_has_its_closed_tail():
    rate, mean = 0.8, 10.0
    years = run(plain_exposure(rate), plain_loss(churn=Exponential(value=mean)))
    losses = years.gross.ravel()
    k = np.arange(1, 60)
    for x in (5.0, 20.0, 50.0, 80.0):
        exact = float(stats.poisson.pmf(k, rate) @ stats.gamma.sf(x, k, scale=mean))
        error = np.sqrt(exact * (1 - exact) / len(losses))
        assert (losses > x).mean() == pytest.approx(exact, abs=4 * error)
    assert losses.mean() == pytest.approx(rate * mean, rel=0.02)
    assert losses.var() == pytest.approx(rate * 2 * mean**2, rel=0.04)
    assert (losses == 0).mean() == pytest.approx(np.exp(-rate), abs=0.004)


def test_a_fixed_severity_counts_poisson_incidents():
    years = run(plain_exposure(2.5), plain_loss(fixed=fixed(7)))
    tail = AnnualLosses(years.gross)
    assert tail.value_at_risk(0.99).value == 7 * stats.poisson.ppf(0.99, 2.5)
    assert tail.value_at_risk(0.95).value == 7 * stats.poisson.ppf(0.95, 2.5)


def test_the_product_that_common_packages_draw_has_the_mean_and_not_the_tail():
    # Severity with sigma 0.95: its 90% quantile over a tenth of its 99% quantile is 3.7.
    severity = Lognormal(p5=float(np.exp(-1.6449 * 0.95)), p95=float(np.exp(1.6449 * 0.95)))
    losses = run(plain_exposure(0.1), plain_loss(churn=severity)).gross
    product = 0.1 * severity.quantile(np.random.default_rng(0).random(losses.size))
    assert losses.mean() == pytest.approx(product.mean(), rel=0.02)
    ratio = np.quantile(losses, 0.99) / np.quantile(product, 0.99)
    assert ratio == pytest.approx(3.7, rel=0.05)


def test_clustering_makes_one_incident_of_a_release():
    # 5,000 visible leaks a year in 4 releases are 4 incidents, not 5,000.
    assert float(incidents_per_year(5000.0, 1.0, 4)) == pytest.approx(4)
    # Rare leaks hardly meet: nothing to cluster.
    assert float(incidents_per_year(0.002, 1.0, 4)) == pytest.approx(0.002, rel=1e-3)
    assert float(incidents_per_year(3.0, 0.5, 2)) == pytest.approx(2 * (1 - np.exp(-0.75)))


def test_leaks_per_year_by_hand():
    got = leaks_per_year(1000.0, 0.1, 0.02, 0.5, 3.0, 10.0)
    assert float(got) == pytest.approx(1000 * 0.1 * 0.01 + 3 * (1 - 0.99**10))
    both = leaks_per_year(1000.0, 0.1, 0.02, 0.5, 3.0, 10.0, 0.2)
    assert float(both) == pytest.approx(1 + 3 * (1 - (0.99 * 0.8) ** 10))
    assert float(leaks_per_year(10.0, 1.0, 1.0, 1.0, 3.0, 5.0)) == pytest.approx(13)


def test_a_campaign_keeps_tiny_rates():
    got = float(leaks_per_year(0.0, 0.0, 1e-18, 1.0, 1.0, 1e6))
    assert got == pytest.approx(1e-12, rel=1e-6)


def test_incident_loss_by_hand():
    draws = {
        "fixed": 10.0,
        "churn": 5.0,
        "damages": 1.0,
        "per_record": 2.0,
        "claim_share": 0.1,
        "claim_award": 30.0,
        "regulator_fine": 100.0,
    }
    assert float(incident_loss(draws, 4.0, np.inf)) == 10 + 5 + 1 + 4 * (2 + 3) + 100
    assert float(incident_loss(draws, 4.0, 40.0)) == 10 + 5 + 1 + 4 * (2 + 3) + 40


def test_an_incident_exposes_no_more_than_leaks():
    loss = plain_loss(incident_records=fixed(1000), per_record=fixed(1))
    assert run(plain_exposure(1), loss, exposed=5.0).gross.max() % 5 == 0
    # One that happened exposed at least one record.
    assert np.unique(run(plain_exposure(1), loss, exposed=0.0).gross)[1] == 1


def test_the_expected_incident_loss_is_the_simulated_one():
    loss = plain_loss(
        incident_records=Lognormal(p5=1, p95=400),
        fixed=Uniform(low=10, high=30),
        per_record=Uniform(low=1, high=3),
        claim_share=fixed(0.1),
        claim_award=fixed(20),
        churn=Lognormal(p5=5, p95=50),
    )
    loss = replace(
        loss,
        regulator_probability=fixed(0.3),
        regulator_fine=Uniform(low=0, high=200),
        regulator_cap=fixed(100),
    )
    years = run(plain_exposure(0.5), loss, exposed=60.0)
    analytic = float(expected_incident_loss(loss, 60.0)) * 0.5
    error = AnnualLosses(years.gross).mean().error
    assert years.gross.mean() == pytest.approx(analytic, abs=4 * error)
    assert years.given[0] == pytest.approx(analytic, rel=1e-9)


def test_insurance_pays_a_share_between_deductible_and_limit():
    terms = Transfer(cover=fixed(0.8), deductible=fixed(10), limit=fixed(50), premium=fixed(0))
    losses = np.array([0.0, 9.0, 20.0, 1000.0])
    np.testing.assert_allclose(insured(losses, terms), [0, 0, 8, 40])


@given(
    x=st.lists(st.floats(0, 1e12), min_size=1, max_size=20),
    cover=st.floats(0, 1),
    deductible=st.floats(0, 1e10),
    limit=st.floats(0, 1e11),
)
def test_insurance_never_raises_what_is_retained(x, cover, deductible, limit):
    terms = Transfer(cover=fixed(cover), deductible=fixed(deductible), limit=fixed(limit))
    losses = np.array(x)
    retained = losses - insured(losses, terms)
    assert (retained <= losses).all()
    assert (retained >= 0).all()


def test_options_share_their_incidents():
    loss = plain_loss(fixed=Uniform(low=1, high=2))
    leaks = [replace(whole(), rate=np.full(FUTURES, 0.5)), whole()]
    less, more = simulate(leaks, plain_exposure(1.0), loss, Streams(1), FUTURES, HORIZON)
    assert (less.gross <= more.gross).all()
    alone = run(plain_exposure(1.0), loss, seed=1)
    np.testing.assert_array_equal(alone.gross, more.gross)


def test_names_and_seeds_decide_the_draws():
    s = Streams(5)
    np.testing.assert_array_equal(s.uniform(10, "a"), Streams(5).uniform(10, "a"))
    assert not np.array_equal(s.uniform(10, "a"), s.uniform(10, "b"))
    assert not np.array_equal(s.uniform(10, "a"), Streams(6).uniform(10, "a"))
