"""How deep and how often to audit: what an audit is worth before it is run.

The owner can live with a leak or pay for a control. An audit is worth what a better choice between
the two saves (Raiffa and Schlaifer 1961); an audit that cannot change the choice is worth nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from memory_assets.risk.distribution import Beta

DEPTHS = (10, 30, 100, 300, 1000, 3000, 10000)


@dataclass(frozen=True)
class Control:
    """A control that removes the share `efficacy` of the loss and costs `cost` a year."""

    efficacy: float
    cost: float

    def least(self, loss: float | np.ndarray) -> np.ndarray:
        """`g = min(D, D (1 - rho) + C)`: the cheaper of living with the loss and the control."""
        return np.minimum(loss, np.asarray(loss) * (1 - self.efficacy) + self.cost)


@dataclass(frozen=True)
class AuditValue:
    """Expected values in money a year: of this audit's answer, and of knowing the truth."""

    evsi: float
    evpi: float


def yes_no_audit(
    prior: float, sensitivity: float, false_alarm: float, loss: float, control: Control
) -> AuditValue:
    """The worth of an audit that says yes or no, when a model leaks or does not.

    `EVPI = g(pi) - pi g(1) - (1 - pi) g(0)` and `EVSI = g(pi) - sum_answer P(answer) g(pi|answer)`,
    `loss` being a year's loss if the model leaks.
    """

    def least(belief: float) -> float:
        return float(control.least(belief * loss))

    flagged = prior * sensitivity + (1 - prior) * false_alarm
    informed = 0.0
    for chance, leaks in (
        (flagged, prior * sensitivity),
        (1 - flagged, prior * (1 - sensitivity)),
    ):
        if chance > 0:
            informed += chance * least(leaks / chance)
    perfect = prior * least(1.0) + (1 - prior) * least(0.0)
    return AuditValue(max(least(prior) - informed, 0.0), max(least(prior) - perfect, 0.0))


def depth_value(prior: Beta, slope: float, control: Control, probes: int) -> AuditValue:
    """The worth of `probes` probes when the yearly loss is `slope` times the leak rate.

    The number of hits is beta-binomial; after k of n the expected loss is `slope (a+k)/(a+b+n)`.
    """
    a, b = prior.a, prior.b
    now = float(control.least(slope * prior.mean))
    hits = np.arange(probes + 1)
    chance = stats.betabinom.pmf(hits, probes, a, b)
    informed = float(chance @ control.least(slope * (a + hits) / (a + b + probes)))
    # With the truth known the control is bought above the rate where it pays for itself.
    saving = slope * control.efficacy
    perfect = slope * prior.mean
    if saving > 0:
        pays = min(control.cost / saving, 1.0)
        above = prior.mean * float(stats.beta.sf(pays, a + 1, b))
        perfect -= saving * above - control.cost * float(stats.beta.sf(pays, a, b))
    return AuditValue(max(now - informed, 0.0), max(now - perfect, 0.0))


def cadence(audit_cost: float, loss_rate: float, hazard: float, sensitivity: float) -> float | None:
    """Years between audits, `T* = sqrt(c / (D h (1/t - 1/2)))`; None when no leak is to be expected.

    A leak arises with `hazard` h a year and costs an avoidable `loss_rate` D a year until an audit
    finds it with `sensitivity` t: after T/2 on average, and T more for each audit that misses it.
    `audit_cost` includes the triage of false alarms. Holds while leaks are rare within one period.
    """
    price = loss_rate * hazard
    if price <= 0 or sensitivity <= 0:
        return None
    return math.sqrt(audit_cost / (price * (1 / sensitivity - 0.5)))


@dataclass(frozen=True)
class Depth:
    """One depth: its worth, its price, and what is left."""

    probes: int
    evsi: float
    cost: float

    @property
    def net(self) -> float:
        return self.evsi - self.cost


@dataclass(frozen=True)
class AuditPlan:
    """The next audits. Money in the profile's currency; `reason` is one sentence in words.

    `depth` is the number of probes worth running (0: no depth pays for itself), `sensitivity` the
    chance that this many probes show a material leak at least once, `every_years` the cadence
    between releases (None: none is called for), `every_release` whether a release needs an audit.
    """

    depths: tuple[Depth, ...]
    evpi: float
    depth: int
    sensitivity: float
    every_years: float | None
    every_release: bool
    audits_per_release: float
    reason: str


def plan_audits(
    prior: Beta,
    slope: float,
    control: Control | None,
    *,
    fixed_cost: float,
    cost_per_probe: float,
    triage_cost: float,
    false_alarm: float,
    material_rate: float,
    hazard: float,
    releases: float,
    horizon: float = 1.0,
) -> AuditPlan:
    """Depth, cadence and audits per release for the next release, whose leak rate is `prior`.

    Args:
        slope: yearly loss per unit of leak rate.
        control: what would be bought if the audit said so; None when nothing could be done.
        horizon: years for which the decision that an audit informs holds.
    """
    control = control or Control(0.0, 0.0)
    values = [(n, depth_value(prior, slope, control, n)) for n in DEPTHS]
    depths = tuple(Depth(n, v.evsi * horizon, fixed_cost + n * cost_per_probe) for n, v in values)
    best = max(depths, key=lambda d: d.net)
    evpi = values[0][1].evpi * horizon
    worthwhile = best.net > 0
    chosen = best.probes if worthwhile else 0
    seen = -math.expm1(best.probes * math.log1p(-material_rate))
    avoidable = control.efficacy * slope * material_rate
    price = best.cost + false_alarm * triage_cost
    every = cadence(price, avoidable, hazard, seen)
    if control.efficacy <= 0:
        reason = "No control is declared or measured, so no audit result could change what is done."
        every = None
    elif worthwhile:
        reason = f"{chosen} probes return the most for what they cost."
    elif evpi <= 0:
        reason = "Even the exact leak rate would not change what is done."
    else:
        reason = "No depth changes the decision often enough to pay for the audit."
    per_release = 1.0 if worthwhile else 0.0
    if every is not None and releases > 0:
        per_release = max(per_release, 1 / (every * releases))
    return AuditPlan(depths, evpi, chosen, seen, every, worthwhile, per_release, reason)
