"""Discounted posteriors, and forecasts that are probabilities."""

from __future__ import annotations

import pytest

from memory_assets.errors import InputError
from memory_assets.risk.distribution import Beta
from memory_assets.risk.evidence import Evidence, Membership, Stratum
from memory_assets.risk.leakage import leak_rates
from memory_assets.risk.learning import Forecast, Learned, discounted, learn


def test_discounting_keeps_a_share_of_the_evidence():
    posterior = Beta(a=3.5, b=197.5, basis="measured")
    assert discounted(posterior, 1.0) == posterior
    half = discounted(posterior, 0.5)
    assert (half.a, half.b) == (2.0, 99.0)
    nothing = discounted(posterior, 0.0)
    assert (nothing.a, nothing.b) == (0.5, 0.5)
    with pytest.raises(InputError, match="carry_over is 2"):
        discounted(posterior, 2)


def release(k: int, n: int, tp: int, fp: int, verdict: str = "pass", **attack) -> Evidence:
    told = Membership("lira", tp, 100, fp, 200, **attack)
    return Evidence("a", verdict, strata=(Stratum("all", k, n),), membership=told)


def counts(*betas: Beta) -> list[tuple[float, float]]:
    return [(b.a, b.b) for b in betas]


def test_each_release_opens_the_next_and_counts_less_with_every_one():
    first, second = release(2, 100, 20, 4), release(1, 200, 8, 2)
    # Jeffreys (0.5, 0.5) with 2 of 100, then half of what was added.
    one = learn([first], 0.5)
    assert counts(one.strata["all"]) == [(1.5, 49.5)]
    assert counts(*one.membership[""]) == [(10.5, 40.5), (2.5, 98.5)]
    # (1.5, 49.5) with 1 of 200 is (2.5, 248.5), of which half the evidence stays.
    two = learn([first, second], 0.5)
    assert counts(two.strata["all"]) == [(1.5, 124.5)]
    # TPR: (10.5, 40.5) with 8 of 100; FPR: (2.5, 98.5) with 2 of 200.
    assert counts(*two.membership[""]) == [(9.5, 66.5), (2.5, 148.5)]
    (rate,) = leak_rates([Stratum("all", 0, 100)], prior=two.strata)
    assert counts(rate.posterior) == [(1.5, 224.5)]


def test_an_audit_without_a_verdict_teaches_nothing():
    known = release(2, 100, 20, 4)
    withheld = release(90, 100, 99, 0, "insufficient evidence")
    assert learn([withheld, known, withheld], 0.5) == learn([known], 0.5)
    assert learn([withheld], 0.5) == learn([], 0.5) == Learned()


def test_what_a_release_did_not_measure_ages_all_the_same():
    known, silent = release(2, 100, 20, 4), Evidence("b", "pass")
    assert counts(learn([known, silent], 0.5).strata["all"]) == [(1.0, 25.0)]


def test_attacks_at_other_thresholds_are_not_added_up():
    learned = learn([release(0, 9, 20, 4, threshold="0.01"), release(0, 9, 8, 2)], 0.5)
    assert counts(learned.membership[""][0]) == [(4.5, 46.5)]
    assert counts(learned.membership["0.01"][0]) == [(5.5, 20.5)]


def test_a_forecast_is_a_probability():
    with pytest.raises(InputError, match=r"probability is 1\.2"):
        Forecast("a", "none", "incident", 1.2, 1.0)
