"""Discounted posteriors and scored forecasts."""

from __future__ import annotations

import pytest

from memory_assets.errors import InputError
from memory_assets.risk.distribution import Beta
from memory_assets.risk.evidence import Stratum
from memory_assets.risk.leakage import leak_rates
from memory_assets.risk.learning import Forecast, discounted, next_prior, score


def test_discounting_keeps_a_share_of_the_evidence():
    posterior = Beta(a=3.5, b=197.5, basis="measured")
    assert discounted(posterior, 1.0) == posterior
    half = discounted(posterior, 0.5)
    assert (half.a, half.b) == (2.0, 99.0)
    nothing = discounted(posterior, 0.0)
    assert (nothing.a, nothing.b) == (0.5, 0.5)
    with pytest.raises(InputError, match="carry_over is 2"):
        discounted(posterior, 2)


def test_one_release_opens_the_next():
    first = leak_rates([Stratum("all", 2, 100)])
    (second,) = leak_rates([Stratum("all", 0, 100)], prior=next_prior(first, 0.5))
    assert (second.posterior.a, second.posterior.b) == (1.5, 149.5)


def forecast(p: float) -> Forecast:
    return Forecast("a", "none", "incident", p, 1.0)


def test_brier_by_hand():
    found = score([(forecast(0.8), True), (forecast(0.4), False), (forecast(0.1), False)])
    assert found.n == 3
    assert found.brier == pytest.approx((0.04 + 0.16 + 0.01) / 3)
    assert found.base == pytest.approx(2 / 9)
    assert found.skill == pytest.approx(1 - found.brier / found.base)


def test_agreement_with_scikit_learn():
    from sklearn.metrics import brier_score_loss

    pairs = [(0.2, False), (0.7, True), (0.9, True), (0.4, True), (0.05, False)]
    ours = score([(forecast(p), y) for p, y in pairs]).brier
    assert ours == pytest.approx(brier_score_loss([y for _, y in pairs], [p for p, _ in pairs]))


def test_no_skill_without_a_base_to_beat():
    assert score([(forecast(0.2), False)]).skill is None
    with pytest.raises(InputError, match="no forecast has an outcome"):
        score([])
    with pytest.raises(InputError, match=r"probability is 1\.2"):
        forecast(1.2)
