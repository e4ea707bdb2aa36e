"""A profile: all that an audit cannot measure, where every number carries its ground."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Annotated, Literal, get_type_hints

from pydantic import Field, Strict

from memory_assets.risk.distribution import Basis, Distribution, Fixed, weakest
from memory_assets.risk.fields import Flag, Quantity, Share, Shares, Text
from memory_assets.risk.options import Measure, Option

_ZERO = Fixed(value=0.0, basis="assumed", note="default: none")


@dataclass(frozen=True, kw_only=True)
class Data:
    """What was trained on. `shares`: share of the real corpus by stratum of the audit."""

    records: Annotated[Distribution, Quantity("count", "records")]
    membership_sensitive: Flag
    membership_prior: Annotated[Distribution, Quantity("rate", "probability")]
    classes: tuple[Text, ...] = ()
    shares: Shares = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """How the model is reached, by year. `escalation`: share of leaks noticed and taken further."""

    release: Literal["internal", "public-api", "open-weights"]
    queries: Annotated[Distribution, Quantity("count", "queries a year")]
    hit_share: Annotated[Distribution, Quantity("rate", "probability")]
    campaigns: Annotated[Distribution, Quantity("count", "campaigns a year")]
    targets: Annotated[Distribution, Quantity("count", "targets a campaign")]
    escalation: Annotated[Distribution, Quantity("rate", "probability")]
    releases: Annotated[Distribution, Quantity("count", "releases a year", known=True)]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What one incident costs: fixed, by record, a fine under its cap, lost business."""

    revenue: Annotated[Distribution, Quantity("amount", "money a year", known=True)]
    incident_records: Annotated[Distribution, Quantity("count", "records")]
    fixed: Annotated[Distribution, Quantity("amount", "money")]
    per_record: Annotated[Distribution, Quantity("amount", "money a record")]
    claim_share: Annotated[Distribution, Quantity("rate", "probability")]
    claim_award: Annotated[Distribution, Quantity("amount", "money a claim")]
    churn: Annotated[Distribution, Quantity("amount", "money")]
    damages: Annotated[Distribution, Quantity("amount", "money")] = _ZERO
    regulator_probability: Annotated[Distribution, Quantity("rate", "probability")] = _ZERO
    regulator_fine: Annotated[Distribution, Quantity("amount", "money")] = _ZERO
    regulator_cap: Annotated[Distribution | None, Quantity("amount", "money", known=True)] = None
    regulator_cap_turnover: Share = 0.0
    regulator_cap_rule: Literal["higher", "lower"] = "higher"

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

    cover: Annotated[Distribution, Quantity("rate", "ratio", known=True)] = _ZERO
    deductible: Annotated[Distribution, Quantity("amount", "money a year", known=True)] = _ZERO
    limit: Annotated[Distribution, Quantity("amount", "money a year", known=True)] = _ZERO
    premium: Annotated[Distribution, Quantity("amount", "money a year", known=True)] = _ZERO


@dataclass(frozen=True, kw_only=True)
class Value:
    """The KPI. A unit's worth is `value_per_unit`, or `minutes_saved` at `wage_per_hour`.

    `poc_gain` is the gain over the baseline seen on unseen cases in a trial; it is used where the
    audit has no held-out metric.
    """

    kpi: Text
    metric: Text
    volume: Annotated[Distribution, Quantity("count", "units a year")]
    baseline: Annotated[Distribution, Quantity("rate", "metric")]
    value_per_unit: Annotated[Distribution | None, Quantity("amount", "money a unit")] = None
    minutes_saved: Annotated[Distribution | None, Quantity("amount", "minutes a unit")] = None
    wage_per_hour: Annotated[Distribution | None, Quantity("amount", "money an hour")] = None
    poc_gain: Annotated[Distribution | None, Quantity("signed", "metric")] = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the owner decides by. `carry_over`: how much of a posterior the next release keeps."""

    discount_rate: Annotated[Distribution, Quantity("rate", "ratio a year", known=True)]
    horizon: Annotated[int, Strict(), Field(ge=1, le=50)]
    appetite: Annotated[Distribution, Quantity("amount", "money a year", known=True)]
    audit_cost: Annotated[Distribution, Quantity("amount", "money", known=True)]
    cost_per_probe: Annotated[Distribution, Quantity("amount", "money", known=True)]
    triage_cost: Annotated[Distribution, Quantity("amount", "money", known=True)]
    audit_false_alarm: Annotated[Distribution, Quantity("rate", "probability", known=True)]
    material_rate: Annotated[Distribution, Quantity("rate", "probability", known=True)]
    leak_hazard: Annotated[Distribution, Quantity("count", "new leaks a year", known=True)]
    capital_charge: Annotated[Distribution, Quantity("rate", "ratio a year", known=True)]
    carry_over: Annotated[Distribution, Quantity("rate", "ratio", known=True)]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a figure comes from; `verified` only when someone read it at the source itself."""

    id: Text
    title: Text
    figure: Text
    verified: Flag
    url: Text = ""


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
    hint = get_type_hints(SECTIONS.get(section, Measure), include_extras=True)[field_name]
    quantity: Quantity = hint.__metadata__[0]
    return quantity.unit.replace("money", currency)
