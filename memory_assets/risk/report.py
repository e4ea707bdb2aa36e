"""The priced audit as plain values: what the reports show and what history keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal

from memory_assets.results.estimate import Estimate
from memory_assets.risk.describe import InputLine
from memory_assets.risk.distribution import Basis
from memory_assets.risk.figure import Figure
from memory_assets.risk.leakage import LeakRate
from memory_assets.risk.learning import Forecast
from memory_assets.risk.plan import AuditPlan
from memory_assets.risk.returns import FrontierPoint
from memory_assets.risk.sensitivity import Swing
from memory_assets.risk.tail import Exceedance

Choice = Literal["go", "conditional", "stop"]


@dataclass(frozen=True)
class RiskRow:
    """One row of the table `risk_estimates`. `unit` is a currency, probability, count or ratio."""

    audit_id: str
    option: str
    quantity: str
    unit: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    basis: Basis


@dataclass(frozen=True)
class OptionResult:
    """One option in figures. Losses, values and costs are money a year; `npv` is over the horizon.

    Leakage: `leak_rate` of a record when asked for it, `membership_rate`, `exposed_records`,
    `leaks` and `incidents` expected a year, `incident_probability` of at least one in a year.
    Loss before insurance: `expected_loss` (its interval is what we do not know, 5-95%), `var95`,
    `var99`, `cvar95`. After insurance: `retained_loss`, `retained_cvar95`. `cost_of_risk` is the
    total: retained, premium, audit, controls and a charge on the tail.
    `value` is what held-out gains are worth, `utility_loss` what the option takes of it.
    `npv` is of running the model under this option, `npv_of_option` what the option adds to the
    model as it is.
    """

    name: str
    measured: bool
    basis: Basis
    leak_rate: Figure
    membership_rate: Figure
    exposed_records: Figure
    leaks: Figure
    incidents: Figure
    incident_probability: Figure
    expected_loss: Figure
    var95: Figure
    var99: Figure
    cvar95: Figure
    retained_loss: Figure
    retained_cvar95: Figure
    cost_of_risk: Figure
    cost: Figure
    value: Figure
    utility_loss: Figure
    npv: Figure
    npv_positive: Figure
    npv_of_option: Figure
    npv_of_option_positive: Figure
    rosi: Figure
    payback: Figure
    break_even_queries: Figure
    exceedance: tuple[Exceedance, ...]

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Every figure by its name."""
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Figure):
                yield f.name, value


@dataclass(frozen=True)
class Gate:
    """Go, conditional or stop. `by_option` says of each option whether it meets both conditions."""

    choice: Choice
    reasons: tuple[str, ...]
    by_option: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class RiskReport:
    """A priced audit; with `priced` false, `reason` says why and every other part is empty.

    `break_even_growth` is how many times today's attempts may grow before the expected loss of the
    model as it is eats its value. `training_gain` is shown and not counted. `held_out` is the
    metric on unseen cases that the value rests on, where it was measured. `probes` is the depth of
    the audit: how many probes stand behind the leak rate (members asked about, where membership
    alone is priced).
    """

    audit_id: str
    verdict: str
    title: str
    industry: str
    currency: str
    seed: int
    years: int
    horizon: int
    priced: bool
    reason: str
    inputs: tuple[InputLine, ...] = ()
    gate: Gate | None = None
    leak_rates: tuple[LeakRate, ...] = ()
    membership_ppv: Figure | None = None
    options: tuple[OptionResult, ...] = ()
    frontier: tuple[FrontierPoint, ...] = ()
    tornado: tuple[Swing, ...] = ()
    plan: AuditPlan | None = None
    probes: int = 0
    break_even_growth: Figure | None = None
    memorized_value: Figure | None = None
    training_gain: Figure | None = None
    held_out: Estimate | None = None
    forecasts: tuple[Forecast, ...] = ()

    def rows(self) -> tuple[RiskRow, ...]:
        """The rows of `risk_estimates`; none where nothing was priced."""
        found = [
            self._row(option.name, name, figure)
            for option in self.options
            for name, figure in option.figures()
        ]
        for name in ("membership_ppv", "break_even_growth", "memorized_value", "training_gain"):
            figure = getattr(self, name)
            if figure is not None:
                found.append(self._row("none", name, figure))
        if (e := self.held_out) is not None and e.value is not None:
            ends = e.ci_low, e.ci_high
            unit, ground = "probability", "measured"
            row = RiskRow(self.audit_id, "none", "held_out_metric", unit, e.value, *ends, ground)
            found.append(row)
        return tuple(found)

    def _row(self, option: str, quantity: str, figure: Figure) -> RiskRow:
        return RiskRow(
            audit_id=self.audit_id,
            option=option,
            quantity=quantity,
            unit=figure.unit,
            value=figure.value,
            ci_low=figure.low,
            ci_high=figure.high,
            basis=figure.basis,
        )
