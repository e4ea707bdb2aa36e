"""Intervals of the risk model: rates after the counts, and the simulation's own error."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.trust.trials import Trial
from memory_assets.risk.evidence import Membership, Stratum
from memory_assets.risk.figure import over_counts, share_of_futures
from memory_assets.risk.leakage import (
    leak_rates,
    membership_posteriors,
    membership_rate,
    weighted_posterior,
)
from memory_assets.risk.tail import AnnualLosses

SIGMA = 0.95
RATE = 0.3
FUTURES, YEARS = 10_000, 3


def counts(rng: np.random.Generator, draws: int = 4000) -> Iterator[Trial]:
    """Credible intervals, judged as a reader takes them: how often do they hold the truth?"""
    for p, n in ((0.002, 300), (0.02, 300), (0.3, 300)):
        (leak,) = leak_rates([Stratum("all", int(rng.binomial(n, p)), n, 1.0)])
        yield Trial("leak rate of a stratum, credible", f"{p:g} in {n} probes", *leak.credible, p)
        ends = leak.clopper_pearson
        yield Trial("leak rate of a stratum, Clopper-Pearson", f"{p:g} in {n} probes", *ends, p)
    truth = {"1": (0.01, 0.9), "4": (0.2, 0.08), "16": (0.9, 0.02)}
    strata = [Stratum(k, int(rng.binomial(100, p)), 100, w) for k, (p, w) in truth.items()]
    drawn = rng.beta(*(lambda b: (b.a, b.b))(weighted_posterior(leak_rates(strata))), draws)
    figure = over_counts(drawn, "probability", "measured")
    real = sum(p * w for p, w in truth.values())
    yield Trial("leak_rate, credible", "3 strata of 100 probes", figure.low, figure.high, real)
    prior, tpr, fpr, n = 0.2, 0.08, 0.01, 700
    seen = Membership("lira", int(rng.binomial(n, tpr)), n, int(rng.binomial(n, fpr)), n)
    after = [rng.beta(b.a, b.b, draws) for b in membership_posteriors(seen)]
    figure = over_counts(membership_rate(after[0], after[1], prior), "probability", "measured")
    real = float(membership_rate(tpr, fpr, prior))
    yield Trial("membership_rate, credible", f"{n} of each side", figure.low, figure.high, real)


def _losses(rng: np.random.Generator, futures: int) -> np.ndarray:
    """`[years, futures]` of compound Poisson losses; the rate of a future is unknown, too."""
    often = RATE * rng.gamma(4.0, 0.25, futures)
    number = rng.poisson(np.broadcast_to(often, (YEARS, futures)))
    each = rng.lognormal(0, SIGMA, int(number.sum()))
    return np.bincount(
        np.repeat(np.arange(number.size), number.ravel()), each, number.size
    ).reshape(YEARS, futures)


_WHOLE = AnnualLosses(_losses(np.random.default_rng(5), 2_000_000))
TRUTH = {
    "expected_loss": _WHOLE.mean().value,
    "var95": _WHOLE.value_at_risk(0.95).value,
    "var99": _WHOLE.value_at_risk(0.99).value,
    "cvar95": _WHOLE.tail_mean(0.95).value,
}


def simulation(rng: np.random.Generator) -> Iterator[Trial]:
    """Monte-Carlo intervals against two million futures (the mean against its closed form)."""
    losses = AnnualLosses(_losses(rng, FUTURES))
    found = {
        "expected_loss": losses.mean(),
        "var95": losses.value_at_risk(0.95),
        "var99": losses.value_at_risk(0.99),
        "cvar95": losses.tail_mean(0.95),
    }
    exact = {"expected_loss": RATE * float(np.exp(SIGMA**2 / 2))}
    for name, e in found.items():
        truth = (TRUTH | exact)[name]
        yield Trial(f"{name}, Monte-Carlo", f"{FUTURES:,} futures", e.low, e.high, truth)
    for p in (0.5, 0.0003):
        share = share_of_futures(rng.random(FUTURES) < p, "assumed")
        world = f"{FUTURES:,} futures, truly {p:g}"
        yield Trial("npv_positive, Monte-Carlo", world, share.low, share.high, p)
