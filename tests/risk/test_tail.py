"""VaR, CVaR and the curve of simulated losses against an exponential's closed form."""

from __future__ import annotations

import numpy as np
import pytest

from memory_assets.risk.tail import AnnualLosses


def losses(seed: int = 0, futures: int = 20_000, years: int = 5, zeros: float = 0.0):
    rng = np.random.default_rng(seed)
    drawn = rng.exponential(100.0, (years, futures))
    return np.where(rng.random(drawn.shape) < zeros, 0.0, drawn)


def test_value_at_risk_and_tail_mean_of_an_exponential():
    tail = AnnualLosses(losses())
    for level in (0.95, 0.99):
        exact = -100 * np.log(1 - level)
        var, cvar = tail.value_at_risk(level), tail.tail_mean(level)
        assert var.value == pytest.approx(exact, abs=4 * var.error)
        assert cvar.value == pytest.approx(exact + 100, abs=4 * cvar.error)
    assert tail.mean().value == pytest.approx(100, rel=0.02)


def test_quantiles_are_order_statistics():
    tail = AnnualLosses(np.arange(1.0, 101.0).reshape(1, 100))
    assert tail.value_at_risk(0.95).value == 95
    assert tail.tail_mean(0.95).value == pytest.approx(np.mean([96, 97, 98, 99, 100]))


def test_years_without_loss_count():
    mixed = AnnualLosses(losses(zeros=0.97))
    assert mixed.value_at_risk(0.95).value == 0
    # The worst 5% of years hold all 3% with a loss.
    assert mixed.tail_mean(0.95).value == pytest.approx(mixed.mean().value / 0.05, rel=1e-6)
    nothing = AnnualLosses(np.zeros((2, 50)))
    assert nothing.value_at_risk(0.99).value == nothing.tail_mean(0.99).value == 0
    assert nothing.exceedance() == ()


@pytest.mark.parametrize("shared", [False, True])
def test_intervals_cover_even_when_years_of_a_future_are_alike(shared):
    """With 95% intervals, fewer than 48 of 60 covering happens once in 100,000."""
    exact = -100 * np.log(0.05)
    var_hits = cvar_hits = 0
    for seed in range(60):
        drawn = losses(seed, futures=2000)
        if shared:
            drawn = np.repeat(drawn[:1], 5, axis=0)
        var, cvar = AnnualLosses(drawn).value_at_risk(0.95), AnnualLosses(drawn).tail_mean(0.95)
        var_hits += var.low <= exact <= var.high
        cvar_hits += cvar.low <= exact + 100 <= cvar.high
    assert var_hits >= 48
    assert cvar_hits >= 48


def test_the_curve_falls_and_meets_the_closed_form():
    curve = AnnualLosses(losses(zeros=0.5)).exceedance()
    probability = np.array([p.probability for p in curve])
    loss = np.array([p.loss for p in curve])
    assert (np.diff(probability) < 0).all()
    assert (np.diff(loss) >= 0).all()
    # The largest of 50,000 losses is one draw: each point within 4 errors of its own level.
    error = np.sqrt(probability * (1 - probability) / 100_000)
    assert (np.abs(0.5 * np.exp(-loss / 100) - probability) < 4 * error).all()
    assert all(p.low <= p.loss <= p.high for p in curve)
