"""Empirical epsilon: how much privacy loss an attack proves, and the most it could have proved.

A lower bound can falsify a claimed epsilon; it never proves one. It stands beside its ceiling:
what a perfect attack would reach with as many canaries.

Records of one model are not strictly independent, which a Clopper-Pearson bound of one model takes
them to be; the one-run audit needs no such assumption. A pool whose pairs flip sides audits
neighbours that *replace* one record, not neighbours that add or remove one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri

from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.results.formulas import EPSILON, together
from memory_assets.statistics.intervals import CONFIDENCE, clopper_pearson
from memory_assets.statistics.roc import Roc, Threshold


@dataclass(frozen=True)
class EpsilonBound:
    """A lower bound in nats beside its ceiling.

    `estimate.value` and `ci_low` are the bound; there is no upper end. Status `at_ceiling`: the
    attack made no mistake, and only more canaries could show more.
    """

    method: Literal["clopper_pearson", "gaussian_dp", "one_run", "split"]
    estimate: Estimate
    ceiling: float
    delta: float


@dataclass(frozen=True)
class Bonferroni:
    """The best of several thresholds on all scores, each at confidence 1 - alpha / m.

    They are fixed before these scores are seen, for instance on the shadows, and remember where.
    """

    thresholds: tuple[Threshold, ...]

    def cuts(self, roc: Roc) -> list[float]:
        """Where the scores are cut.

        Raises:
            ValueError: no threshold, or one that was chosen on these scores.
        """
        if not self.thresholds:
            raise ValueError("Bonferroni needs at least one threshold")
        for threshold in self.thresholds:
            roc.refuse_own(threshold)
        return [threshold.value for threshold in self.thresholds]


def lower_bound(bound: float, top: float, n: int, k: int | None = None) -> Estimate:
    at_top = bound > 0 and bound >= top - 1e-9
    return Estimate(bound, bound, None, n=n, k=k, status="at_ceiling" if at_top else "ok")


def check_delta(delta: float) -> None:
    if not 0 <= delta < 1:
        raise ValueError(f"delta must lie in [0, 1), got {delta}")


def clopper_pearson_epsilon(
    hits: int,
    members: int,
    alarms: int,
    non_members: int,
    delta: float = 0.0,
    confidence: float = CONFIDENCE,
) -> float:
    """`max{ln((TPR_lo - d) / FPR_hi), ln((TNR_lo - d) / FNR_hi)}` in nats, at least 0.

    alpha/2 on each rate, so that the four ends hold together at `confidence` (the two lower ends
    mirror the two upper ones). Hypothesis-testing form of differential privacy, Kairouz, Oh &
    Viswanath (2015); with Clopper-Pearson ends as in Nasr et al. (2021).

    Args:
        hits: members that were called members.
        members: how many there were.
        alarms: non-members that were called members.
        non_members: how many there were.
        delta: of (epsilon, delta)-differential privacy, in [0, 1).
        confidence: with which the bound holds.

    Returns:
        The bound in nats.

    Raises:
        ValueError: counts that make no rate, or `delta` outside [0, 1).

    Examples:
        >>> round(clopper_pearson_epsilon(90, 100, 10, 100), 2)
        1.54
    """
    check_delta(delta)
    tpr_low = clopper_pearson(hits, members, confidence)[0]
    fpr_high = clopper_pearson(alarms, non_members, confidence)[1]
    best = 0.0
    for power, error in ((tpr_low, fpr_high), (1 - fpr_high, 1 - tpr_low)):
        if power > delta:
            best = max(best, math.log((power - delta) / error))
    return best


def ceiling(
    members: int, non_members: int, delta: float = 0.0, confidence: float = CONFIDENCE
) -> float:
    """Largest `clopper_pearson_epsilon` that so many canaries can show: all hits, no alarms.

    Args:
        members: how many there are.
        non_members: how many there are.
        delta: of (epsilon, delta)-differential privacy, in [0, 1).
        confidence: with which the bound holds.

    Returns:
        The ceiling in nats.

    Examples:
        >>> round(ceiling(1000, 1000), 2)
        5.6
    """
    return clopper_pearson_epsilon(members, members, 0, non_members, delta, confidence)


def _ends(roc: Roc, cut: float, confidence: float) -> tuple[float, float]:
    """TPR_lo and FPR_hi above a cut."""
    hits, alarms = roc.counts(cut)
    return (
        clopper_pearson(int(hits), roc.members.size, confidence)[0],
        clopper_pearson(int(alarms), roc.non_members.size, confidence)[1],
    )


def epsilon_at(roc: Roc, cut: float, delta: float, confidence: float) -> float:
    """`clopper_pearson_epsilon` where scores above a cut, fixed beforehand, are called members."""
    hits, alarms = roc.counts(cut)
    sizes = roc.members.size, roc.non_members.size
    return clopper_pearson_epsilon(int(hits), sizes[0], int(alarms), sizes[1], delta, confidence)


def _mu(tpr_low: float, fpr_high: float) -> float:
    """0 where the ends are no better than a coin, or at 0 or 1, where they show nothing."""
    return (
        max(0.0, float(ndtri(tpr_low) - ndtri(fpr_high))) if tpr_low > 0 and fpr_high < 1 else 0.0
    )


def _epsilon_of_mu(mu: float, delta: float) -> float:
    """Epsilon of mu-GDP at delta: the root of `Phi(mu/2 - e/mu) - exp(e) Phi(-mu/2 - e/mu) = d`.

    Corollary 1 of Dong, Roth & Su (2022).
    """

    def excess(epsilon: float) -> float:
        second = math.exp(epsilon + float(log_ndtr(-mu / 2 - epsilon / mu)))
        return float(ndtr(mu / 2 - epsilon / mu)) - second - delta

    if mu <= 0 or excess(0.0) <= 0:
        return 0.0
    root = brentq(excess, 0.0, mu * (mu / 2 + 40))
    return float(root)  # pyright: ignore[reportArgumentType]


def epsilon_lower_bound(
    roc: Roc,
    strategy: Bonferroni,
    delta: float = 0.0,
    confidence: float = CONFIDENCE,
) -> EpsilonBound:
    """Clopper-Pearson lower bound on epsilon from one model's scores.

    Args:
        roc: scores of one model, higher = member.
        strategy: the thresholds, fixed beforehand.
        delta: of (epsilon, delta)-differential privacy, in [0, 1).
        confidence: with which the bound holds, over all thresholds.

    Returns:
        The bound in nats beside its ceiling.

    Raises:
        ValueError: thresholds that were chosen on these rows.

    Examples:
        >>> import numpy as np
        >>> roc = Roc.of(np.arange(100, 200), np.arange(0, 100))
        >>> found = epsilon_lower_bound(roc, Bonferroni((Threshold(99.5, ()),)))
        >>> round(found.estimate.value, 2), found.estimate.status
        (3.28, 'at_ceiling')
    """
    check_delta(delta)
    cuts = strategy.cuts(roc)
    each = 1 - (1 - confidence) / len(cuts)
    bound = max(epsilon_at(roc, cut, delta, each) for cut in cuts)
    top = ceiling(roc.members.size, roc.non_members.size, delta, each)
    return EpsilonBound("clopper_pearson", lower_bound(bound, top, roc.n), top, delta)


def gaussian_dp_epsilon(
    roc: Roc,
    strategy: Bonferroni,
    delta: float,
    confidence: float = CONFIDENCE,
) -> tuple[Estimate, EpsilonBound]:
    """Lower bound on mu, and the epsilon at `delta` that it implies *if* noise is Gaussian.

    `mu >= PhiInv(TPR_lo) - PhiInv(FPR_hi)` (Dong, Roth & Su 2022; for audits Nasr et al. 2023). It
    assumes the trade-off curve of a Gaussian mechanism, which the attack cannot check.

    Args:
        roc: scores of one model, higher = member.
        strategy: the thresholds, fixed beforehand.
        delta: at which epsilon is stated, in (0, 1).
        confidence: with which the bound holds, over all thresholds.

    Returns:
        The bound on mu (no unit), and that on epsilon in nats.

    Raises:
        ValueError: `delta` outside (0, 1), and as `epsilon_lower_bound`.

    Examples:
        >>> import numpy as np
        >>> roc = Roc.of(np.arange(100, 200), np.arange(0, 100))
        >>> mu, epsilon = gaussian_dp_epsilon(roc, Bonferroni((Threshold(99.5, ()),)), 1e-5)
        >>> round(mu.value, 2), epsilon.estimate.value > 3.28
        (3.59, True)
    """
    if not 0 < delta < 1:
        raise ValueError(f"Gaussian DP needs 0 < delta < 1, got {delta}")
    cuts = strategy.cuts(roc)
    each = 1 - (1 - confidence) / len(cuts)
    bound = max(_mu(*_ends(roc, cut, each)) for cut in cuts)
    m, n = roc.members.size, roc.non_members.size
    top = _mu(clopper_pearson(m, m, each)[0], clopper_pearson(0, n, each)[1])
    epsilon, most = _epsilon_of_mu(bound, delta), _epsilon_of_mu(top, delta)
    return (
        lower_bound(bound, top, roc.n),
        EpsilonBound("gaussian_dp", lower_bound(epsilon, most, roc.n), most, delta),
    )


def epsilon_measurements(
    name: str, bound: EpsilonBound, score_version: int = 1
) -> list[Measurement]:
    """The bound and its ceiling as rows of the family `epsilon`, in nats.

    `name` is the attack, `score_version` the version of the scores that it rests on.
    """
    top = Estimate(bound.ceiling, bound.ceiling, bound.ceiling, n=bound.estimate.n)
    return [
        Measurement(
            "epsilon", name, metric, "nats", estimate, together(EPSILON.version, score_version)
        )
        for metric, estimate in (
            (f"{bound.method}_lower_bound", bound.estimate),
            (f"{bound.method}_ceiling", top),
        )
    ]
