"""A profile: all that an audit cannot measure, where every number carries its ground."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated

from memory_assets.risk.distribution import Basis, Distribution, Fixed, weakest
from memory_assets.risk.options import Kind, Measure, Option, kinds

_ZERO = Fixed(value=0.0, basis="assumed", note="default: none")


@dataclass(frozen=True, kw_only=True)
class Data:
    """What was trained on. `shares`: share of the real corpus by stratum of the audit."""

    records: Annotated[Distribution, Kind("count", "records")]
    membership_sensitive: Annotated[bool, Kind("flag")]
    membership_prior: Annotated[Distribution, Kind("rate", "probability")]
    classes: Annotated[tuple[str, ...], Kind("texts")] = ()
    shares: Annotated[Mapping[str, float], Kind("shares")] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """How the model is reached, by year. `escalation`: share of leaks noticed and taken further."""

    release: Annotated[str, Kind("choice", choices=("internal", "public-api", "open-weights"))]
    queries: Annotated[Distribution, Kind("count", "queries a year")]
    hit_share: Annotated[Distribution, Kind("rate", "probability")]
    campaigns: Annotated[Distribution, Kind("count", "campaigns a year")]
    targets: Annotated[Distribution, Kind("count", "targets a campaign")]
    escalation: Annotated[Distribution, Kind("rate", "probability")]
    releases: Annotated[Distribution, Kind("count", "releases a year", known=True)]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What one incident costs: fixed, by record, a fine under its cap, lost business."""

    revenue: Annotated[Distribution, Kind("amount", "money a year", known=True)]
    incident_records: Annotated[Distribution, Kind("count", "records")]
    fixed: Annotated[Distribution, Kind("amount", "money")]
    per_record: Annotated[Distribution, Kind("amount", "money a record")]
    claim_share: Annotated[Distribution, Kind("rate", "probability")]
    claim_award: Annotated[Distribution, Kind("amount", "money a claim")]
    churn: Annotated[Distribution, Kind("amount", "money")]
    damages: Annotated[Distribution, Kind("amount", "money")] = _ZERO
    regulator_probability: Annotated[Distribution, Kind("rate", "probability")] = _ZERO
    regulator_fine: Annotated[Distribution, Kind("amount", "money")] = _ZERO
    regulator_cap: Annotated[Distribution | None, Kind("amount", "money", known=True)] = None
    regulator_cap_turnover: Annotated[float, Kind("share")] = 0.0
    regulator_cap_rule: Annotated[str, Kind("choice", choices=("higher", "lower"))] = "higher"

    @property
    def cap(self) -> float:
        """The most a fine can be: the amount or the share of turnover, whichever the law says."""
        if self.regulator_cap is None:
            return float("inf")
        amounts = [self.regulator_cap.mean]
        if self.regulator_cap_turnover:
            amounts.append(self.regulator_cap_turnover * self.revenue.mean)
        return max(amounts) if self.regulator_cap_rule == "higher" else min(amounts)


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """The insurance contract. Cover for generative AI is 0 unless the policy says otherwise."""

    cover: Annotated[Distribution, Kind("rate", "ratio", known=True)] = _ZERO
    deductible: Annotated[Distribution, Kind("amount", "money a year", known=True)] = _ZERO
    limit: Annotated[Distribution, Kind("amount", "money a year", known=True)] = _ZERO
    premium: Annotated[Distribution, Kind("amount", "money a year", known=True)] = _ZERO


@dataclass(frozen=True, kw_only=True)
class Value:
    """The KPI. A unit's worth is `value_per_unit`, or `minutes_saved` at `wage_per_hour`.

    `poc_gain` is the gain over the baseline seen on unseen cases in a trial; it is used where the
    audit has no held-out metric.
    """

    kpi: Annotated[str, Kind("text")]
    metric: Annotated[str, Kind("text")]
    volume: Annotated[Distribution, Kind("count", "units a year")]
    baseline: Annotated[Distribution, Kind("rate", "metric")]
    value_per_unit: Annotated[Distribution | None, Kind("amount", "money a unit")] = None
    minutes_saved: Annotated[Distribution | None, Kind("amount", "minutes a unit")] = None
    wage_per_hour: Annotated[Distribution | None, Kind("amount", "money an hour")] = None
    poc_gain: Annotated[Distribution | None, Kind("signed", "metric")] = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the owner decides by. `carry_over`: how much of a posterior the next release keeps."""

    discount_rate: Annotated[Distribution, Kind("rate", "ratio a year", known=True)]
    horizon: Annotated[int, Kind("whole")]
    appetite: Annotated[Distribution, Kind("amount", "money a year", known=True)]
    audit_cost: Annotated[Distribution, Kind("amount", "money", known=True)]
    cost_per_probe: Annotated[Distribution, Kind("amount", "money", known=True)]
    triage_cost: Annotated[Distribution, Kind("amount", "money", known=True)]
    audit_false_alarm: Annotated[Distribution, Kind("rate", "probability", known=True)]
    material_rate: Annotated[Distribution, Kind("rate", "probability", known=True)]
    leak_hazard: Annotated[Distribution, Kind("count", "new leaks a year", known=True)]
    capital_charge: Annotated[Distribution, Kind("rate", "ratio a year", known=True)]
    carry_over: Annotated[Distribution, Kind("rate", "ratio", known=True)]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a figure comes from; `verified` only when someone read it at the source itself."""

    id: Annotated[str, Kind("text")]
    title: Annotated[str, Kind("text")]
    figure: Annotated[str, Kind("text")]
    verified: Annotated[bool, Kind("flag")]
    url: Annotated[str, Kind("text")] = ""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One organisation and one use of a model. Money is in `currency` throughout.

    `defaulted` names the inputs that no one stated for this organisation.
    """

    title: str
    industry: str
    currency: str
    data: Data
    exposure: Exposure
    loss: Loss
    transfer: Transfer
    value: Value
    decision: Decision
    sources: tuple[Source, ...] = ()
    options: tuple[Option, ...] = ()
    defaulted: tuple[str, ...] = ()

    def basis(self, *sections: str) -> Basis:
        """The weakest ground among the inputs of some sections."""
        inputs = self.inputs().items()
        grounds: list[Basis] = [d.basis for name, d in inputs if name.split(".")[0] in sections]
        return weakest(*grounds)

    def inputs(self) -> dict[str, Distribution]:
        """Every distribution by its dotted name, options included."""
        found: dict[str, Distribution] = {}
        for section in SECTIONS:
            holder = getattr(self, section)
            for f in fields(holder):
                value = getattr(holder, f.name)
                if isinstance(value, Distribution):
                    found[f"{section}.{f.name}"] = value
        for measure in {m.name: m for o in self.options for m in o.measures}.values():
            for f in fields(measure):
                value = getattr(measure, f.name)
                if isinstance(value, Distribution) and value is not f.default:
                    found[f"options.{measure.name}.{f.name}"] = value
        return found


SECTIONS: dict[str, type] = {
    "data": Data,
    "exposure": Exposure,
    "loss": Loss,
    "transfer": Transfer,
    "value": Value,
    "decision": Decision,
}


def unit_of(name: str, currency: str) -> str:
    """The unit of an input by its dotted name, with money in the profile's currency."""
    section, field_name = name.split(".")[0], name.split(".")[-1]
    holder = SECTIONS.get(section, Measure)
    return kinds(holder)[field_name].unit.replace("money", currency)
