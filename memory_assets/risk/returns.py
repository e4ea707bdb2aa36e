"""Return on what is done about risk: present value, payback, break-even, and which options lose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq

from memory_assets.risk.distribution import Floats


def annuity(rate: float, years: int) -> float:
    """The present value of 1 paid at the end of each of `years` years."""
    return float(((1 + rate) ** -np.arange(1.0, years + 1)).sum())


def net_present_value(flows: Floats, one_off: Floats, rate: float) -> Floats:
    """Present value by future of yearly flows `[years, futures]` after `one_off` paid today."""
    factors = (1 + rate) ** -np.arange(1.0, len(flows) + 1)
    return factors @ flows - one_off


def rosi(avoided: float, cost: float) -> float | None:
    """Return on a security investment, `(avoided - cost)/cost`, both a year; None at no cost."""
    return (avoided - cost) / cost if cost > 0 else None


def payback(one_off: float, net_a_year: float) -> float | None:
    """Years until the yearly net has paid the outlay (undiscounted); None when it never does."""
    if net_a_year <= 0:
        return None
    return one_off / net_a_year


def break_even_queries(
    cost: float,
    hit_share: float,
    rate: float,
    miss: float,
    escalation: float,
    efficacy: float,
    incident_loss: float,
) -> float | None:
    """Queries a year from which a control pays: `Q* = C / (a p m c rho E[L])`; None for never.

    `cost` is the control's yearly cost and `efficacy` (rho) the share of leakage it removes. The
    formula counts each visible leak as an incident: clustering by release only raises Q*.
    """
    saved = hit_share * rate * miss * escalation * efficacy * incident_loss
    return cost / saved if saved > 0 else None


def break_even_growth(
    rate: Floats, incident_loss: Floats, releases: float, value: float
) -> float | None:
    """How many times today's attempts may grow before the expected loss eats the value.

    `rate` is the expected number of incidents a year by future, `incident_loss` the mean loss of
    one. Below 1 the loss is above the value already. None when even an incident in every release
    costs less than the value, or when there is no value.
    """
    with np.errstate(divide="ignore"):
        visible = -releases * np.log1p(-np.minimum(rate / releases, 1.0))
    visible = np.minimum(visible, 1e12)

    def excess(log_growth: float) -> float:
        grown = -releases * np.expm1(-visible * np.exp(log_growth) / releases)
        return float((grown * incident_loss).mean()) - value

    if value <= 0 or excess(30.0) <= 0 or excess(-30.0) >= 0:
        return None
    root: Any = brentq(excess, -30.0, 30.0)
    return math.exp(root)


@dataclass(frozen=True)
class FrontierPoint:
    """An option's place: leaks, value and cost a year. `efficient`: none is as good in all.

    `value` is None where no held-out gain was measured; then leakage and cost alone decide.
    """

    option: str
    leakage: float
    value: float | None
    cost: float
    efficient: bool


def frontier(points: Sequence[tuple[str, float, float | None, float]]) -> tuple[FrontierPoint, ...]:
    """Mark the options that no other option beats in leakage, value and cost together."""

    def losses(point: tuple[str, float, float | None, float]) -> Floats:
        return np.array([point[1], -(point[2] or 0.0), point[3]])

    found = []
    for point in points:
        mine = losses(point)
        beaten = any(
            (losses(other) <= mine).all() and (losses(other) < mine).any() for other in points
        )
        found.append(FrontierPoint(*point, efficient=not beaten))
    return tuple(found)
