"""From an audit's counts to what leaks: posterior rates by stratum, and how many records they mean.

Per stratum, k hits in n probes under a Jeffreys prior give `p ~ Beta(1/2 + k, 1/2 + n - k)`
(Brown, Cai and DasGupta 2001). Strata are weighted by their share of the real corpus: canaries
are planted evenly over repetition tiers, real duplicates are not, and plain pooling overstates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import ndtri

from memory_assets.errors import InputError
from memory_assets.risk.distribution import Beta, Floats, Number
from memory_assets.risk.evidence import Membership, Stratum

JEFFREYS = (0.5, 0.5)


@dataclass(frozen=True)
class LeakRate:
    """The posterior leak rate of one stratum and its share of the corpus (shares sum to 1)."""

    stratum: str
    share: float
    k: int
    n: int
    posterior: Beta

    @property
    def clopper_pearson(self) -> tuple[float, float]:
        """The exact 95% interval of k in n, printed beside the posterior."""
        exact = stats.binomtest(self.k, self.n).proportion_ci(method="exact")
        return float(exact.low), float(exact.high)

    @property
    def credible(self) -> tuple[float, float]:
        """The central 95% of the posterior."""
        a, b = self.posterior.a, self.posterior.b
        low, high = np.asarray(stats.beta.ppf([0.025, 0.975], a, b))
        return float(low), float(high)


def _updated(prior: Beta | None, k: int, n: int) -> Beta:
    """The posterior after k of n, over pseudo-counts or Jeffreys."""
    a, b = (prior.a, prior.b) if prior else JEFFREYS
    return Beta(a=a + k, b=b + n - k, basis="measured")


def leak_rates(
    strata: Sequence[Stratum],
    shares: Mapping[str, float] | None = None,
    prior: Mapping[str, Beta] | None = None,
) -> tuple[LeakRate, ...]:
    """Posterior leak rates of all strata, re-weighted to the real corpus.

    Args:
        strata: the counts, at least one.
        shares: the profile's share of the corpus by stratum; empty takes the audit's own weights.
        prior: pseudo-counts by stratum (the discounted posterior of an earlier release); a stratum
            without one starts from Jeffreys (1/2, 1/2).

    Raises:
        InputError: a declared share whose stratum was not probed, or weights that are all 0.
    """
    weights = {s.name: s.weight for s in strata}
    if shares:
        unprobed = [name for name, share in shares.items() if share > 0 and name not in weights]
        if unprobed:
            raise InputError(
                f"profile: data.shares names {unprobed[0]!r}, which the audit did not probe (it "
                f"probed {', '.join(weights)}): probe it, or use the audit's names"
            )
        weights = {name: shares.get(name, 0.0) for name in weights}
    total = sum(weights.values())
    if total <= 0:
        raise InputError("the strata's weights sum to 0: give each its share of the corpus")
    rates = []
    for s in strata:
        posterior = _updated((prior or {}).get(s.name), s.k, s.n)
        rates.append(LeakRate(s.name, weights[s.name] / total, s.k, s.n, posterior))
    return tuple(rates)


def weighted_posterior(rates: Sequence[LeakRate]) -> Beta:
    """One beta with the mean and variance of the re-weighted rate `sum_s w_s p_s`."""
    mean = sum(r.share * r.posterior.mean for r in rates)
    spread = sum(r.share**2 * r.posterior.variance for r in rates)
    pseudo = mean * (1 - mean) / spread - 1
    return Beta(a=mean * pseudo, b=(1 - mean) * pseudo, basis="measured")


def exposed_records(records: Number, rate: Number, u: Number) -> Floats:
    """Draws of `Binomial(records, rate)` at uniforms `u`, real-valued, never decreasing in any.

    Anscombe's arcsine transform makes the spread of a binomial the same at every rate, so one
    normal draw serves all rates and all options. Within 2 records of the exact quantile.
    """
    size = np.maximum(np.asarray(records, dtype=np.float64), 1e-12)
    z = ndtri(np.clip(np.asarray(u), 1e-12, 1 - 1e-12))
    angle = np.arcsin(np.sqrt(np.asarray(rate, dtype=np.float64))) + z / (2 * np.sqrt(size))
    drawn = size * np.sin(np.clip(angle, 0.0, math.pi / 2)) ** 2
    return np.where(np.asarray(rate) > 0, drawn, 0.0)


def ppv(tpr: Number, fpr: Number, prior: Number) -> Floats:
    """How often a record flagged as a member is one, at the declared share of members."""
    true = np.asarray(prior * tpr)
    flagged = np.asarray(true + (1 - prior) * fpr)
    return np.divide(true, flagged, out=np.zeros_like(flagged), where=flagged > 0)


def membership_rate(tpr: Number, fpr: Number, prior: Number) -> Floats:
    """The rate at which membership is given away: `TPR (PPV - prior)/(1 - prior)`, at least 0.

    A member is harmed in so far as the answer is believed for a reason: an attack that flags at
    random (TPR = FPR) tells what the prior told already and counts 0; one without false alarms
    counts its whole TPR.
    """
    gain = (ppv(tpr, fpr, prior) - prior) / (1 - prior)
    return tpr * np.clip(gain, 0.0, 1.0)


def membership_posteriors(
    attack: Membership, prior: tuple[Beta, Beta] | None = None
) -> tuple[Beta, Beta]:
    """TPR and FPR after the counts, over pseudo-counts of both or Jeffreys priors."""
    of_tpr, of_fpr = prior or (None, None)
    return (
        _updated(of_tpr, attack.tp, attack.members),
        _updated(of_fpr, attack.fp, attack.non_members),
    )
