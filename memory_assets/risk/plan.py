"""How deep and how often to audit: what an audit is worth before it is run.

The owner can live with a leak or pay for a control. An audit is worth what a better choice between
the two saves (Raiffa and Schlaifer 1961); an audit that cannot change the choice is worth nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from memory_assets.risk.distribution import Beta, Floats, Number

DEPTHS = (10, 30, 100, 300, 1000, 3000, 10000)


@dataclass(frozen=True)
class Control:
    """Something to do: it removes the share `efficacy` of the loss and costs `cost` a year."""

    name: str
    efficacy: float
    cost: float


@dataclass(frozen=True)
class Choices:
    """What could be done; living with the loss is always one of them.

    `kept` is the part of the yearly loss that the leak rate does not move, if one lives with it: a
    control's `cost` then holds what it leaves of that part as well.
    """

    controls: tuple[Control, ...]
    kept: float = 0.0

    @property
    def all(self) -> tuple[Control, ...]:
        return (Control("none", 0.0, self.kept), *self.controls)

    def costs(self, loss: Number) -> Floats:
        """The yearly cost of every choice at an expected loss, `[choices, ...]`."""
        return np.stack([np.asarray(loss) * (1 - c.efficacy) + c.cost for c in self.all])

    def least(self, loss: Number) -> Floats:
        """`g = min over choices of D (1 - rho) + C`: the yearly cost of the best choice."""
        return self.costs(loss).min(axis=0)

    def best(self, loss: float) -> Control:
        """The best choice at an expected loss; the first of equals."""
        return self.all[int(self.costs(loss).argmin())]

    def least_if_known(self, prior: Beta, slope: float) -> float:
        """`E[g(slope p)]` for p of the prior: the cost if every truth met its best choice.

        g is made of straight pieces; on each, the beta's partial mean is exact.
        """
        lines = [(slope * (1 - c.efficacy), c.cost) for c in self.all]
        crossings = {(c2 - c1) / (s1 - s2) for s1, c1 in lines for s2, c2 in lines if s1 != s2}
        edges = np.array([0.0, *sorted(x for x in crossings if 0 < x < 1), 1.0])
        mass = np.diff(stats.beta.cdf(edges, prior.a, prior.b))
        moment = prior.mean * np.diff(stats.beta.cdf(edges, prior.a + 1, prior.b))
        middle = (edges[:-1] + edges[1:]) / 2
        best = self.costs(slope * middle).argmin(axis=0)
        slopes, costs = np.array(lines).T
        return float((slopes[best] * moment + costs[best] * mass).sum())


@dataclass(frozen=True)
class AuditValue:
    """Expected values in money a year: of this audit's answer, and of knowing the truth."""

    evsi: float
    evpi: float


def depth_value(prior: Beta, slope: float, choices: Choices, probes: int) -> AuditValue:
    """The worth of `probes` probes when the yearly loss is `slope` times the leak rate.

    The number of hits is beta-binomial; after k of n the expected loss is `slope (a+k)/(a+b+n)`.
    """
    a, b = prior.a, prior.b
    now = float(choices.least(slope * prior.mean))
    hits = np.arange(probes + 1.0)
    chance = stats.betabinom.pmf(hits, probes, a, b)
    after: Floats = slope * (a + hits) / (a + b + probes)
    informed = float(chance @ choices.least(after))
    evsi, evpi = now - informed, now - choices.least_if_known(prior, slope)
    # Rounding alone leaves some 1e-13 of the cost where an audit is worth nothing.
    floor = 1e-9 * abs(now)
    return AuditValue(evsi if evsi > floor else 0.0, evpi if evpi > floor else 0.0)


def cadence(audit_cost: float, loss_rate: float, hazard: float, sensitivity: float) -> float | None:
    """Years between audits, `T* = sqrt(c / (D h (1/t - 1/2)))`; None: nothing to save.

    A leak arises with `hazard` h a year and costs an avoidable `loss_rate` D a year until an audit
    finds it with `sensitivity` t: after T/2 on average, and T more for each audit that misses it.
    `audit_cost` includes the triage of false alarms. Holds while leaks are rare within one period.
    """
    price = loss_rate * hazard
    if price <= 0 or sensitivity <= 0:
        return None
    return math.sqrt(audit_cost / (price * (1 / sensitivity - 0.5)))


@dataclass(frozen=True)
class Rounds:
    """Audits of `probes` probes every `years` years, between releases.

    `cost` is a year's: of the audits, and of the leaks that wait for one.
    """

    probes: int
    years: float
    sensitivity: float
    cost: float


@dataclass(frozen=True)
class Depth:
    """One depth: its worth, its price, and what is left."""

    probes: int
    evsi: float
    cost: float

    @property
    def net(self) -> float:
        return self.evsi - self.cost


def best_rounds(
    depths: Sequence[Depth],
    *,
    alarm_cost: float,
    loss_rate: float,
    hazard: float,
    material_rate: float,
) -> Rounds | None:
    """Depth and cadence of the least `K(n, T) = c(n)/T + D h T (1/t(n) - 1/2)`; None: none pays.

    At a depth's own T* the two parts are equal, so `K = 2 c(n)/T*`. A depth finds a leak of the
    material rate with `t(n) = 1 - (1 - rate)^n`: one hit at least. `alarm_cost` is the expected
    triage of an audit. Rounds that cost more than a leak which stays for good do not pay: there
    leaks are no longer rare within a period, and the formula does not hold either.
    """
    found: list[Rounds] = []
    for depth in depths:
        sensitivity = -math.expm1(depth.probes * math.log1p(-material_rate))
        price = depth.cost + alarm_cost
        years = cadence(price, loss_rate, hazard, sensitivity)
        if years:
            found.append(Rounds(depth.probes, years, sensitivity, 2 * price / years))
    best = min(found, key=lambda r: r.cost, default=None)
    return best if best and best.cost < loss_rate else None


@dataclass(frozen=True)
class AuditPlan:
    """The next audits. Money in the profile's currency; `reason` is one sentence in words.

    `depth` is the number of probes worth running on a new release (0: no depth pays for itself).
    `between` are the audits against leaks that arise later, None where none pays. `best_today` and
    `best_if_leaking` are the best choices at the expected and at the material leak rate; where they
    are the same, no alarm would change what is done, and nothing pays between releases.
    `audits_per_release`: how many audits the two together come to.
    """

    depths: tuple[Depth, ...]
    evpi: float
    depth: int
    between: Rounds | None
    best_today: str
    best_if_leaking: str
    audits_per_release: float
    reason: str


def plan_audits(
    prior: Beta,
    slope: float,
    choices: Choices,
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
        choices: what could be done, as yearly costs and shares of the loss removed.
        horizon: years for which the decision that an audit informs holds.
    """
    values = [(n, depth_value(prior, slope, choices, n)) for n in DEPTHS]
    depths = tuple(Depth(n, v.evsi * horizon, fixed_cost + n * cost_per_probe) for n, v in values)
    best = max(depths, key=lambda d: d.net)
    evpi = values[0][1].evpi * horizon
    worthwhile = best.net > 0
    today = choices.best(slope * prior.mean)
    leaking = slope * material_rate
    # What staying with today's choice would cost over the best one, once the model leaks.
    avoidable = leaking * (1 - today.efficacy) + today.cost - float(choices.least(leaking))
    between = best_rounds(
        depths,
        alarm_cost=false_alarm * triage_cost,
        loss_rate=avoidable,
        hazard=hazard,
        material_rate=material_rate,
    )
    if not choices.controls:
        reason = "Nothing to do about a leak was declared, so no audit could change what is done."
    elif worthwhile:
        reason = f"{best.probes} probes return the most for what they cost."
    elif evpi <= 0:
        reason = "Even the exact leak rate would not change what is best to do."
    else:
        reason = "No depth changes what is best to do often enough to pay for the audit."
    per_release = 1.0 if worthwhile else 0.0
    if between is not None:
        per_release = max(per_release, 1 / (between.years * releases))
    return AuditPlan(
        depths=depths,
        evpi=evpi,
        depth=best.probes if worthwhile else 0,
        between=between,
        best_today=today.name,
        best_if_leaking=choices.best(leaking).name,
        audits_per_release=per_release,
        reason=reason,
    )
