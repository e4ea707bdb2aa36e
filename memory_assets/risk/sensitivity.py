"""Which inputs decide the result: a tornado, one input at a time over its 5-95% range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from memory_assets.results.estimate import Estimate
from memory_assets.risk.distribution import Basis, Beta, Distribution, Fixed, Uniform
from memory_assets.risk.evidence import Evidence
from memory_assets.risk.leakage import LeakRate, membership_rate, weighted_posterior
from memory_assets.risk.profile import Profile
from memory_assets.risk.simulation import incident_loss, incidents_per_year, leaks_per_year

_SECTIONS = ("exposure", "loss", "value")


@dataclass(frozen=True)
class Swing:
    """What one input does to the yearly net (value minus expected loss), all else at its mean.

    `net_at_low` and `net_at_high` are the net when the input is at its 5% and 95% value.
    """

    name: str
    low: float
    high: float
    net_at_low: float
    net_at_high: float
    basis: Basis
    defaulted: bool

    @property
    def width(self) -> float:
        return abs(self.net_at_high - self.net_at_low)


def _measured_share(estimate: Estimate) -> Distribution:
    value = estimate.value or 0.0
    low = value if estimate.ci_low is None else estimate.ci_low
    high = value if estimate.ci_high is None else estimate.ci_high
    return Uniform(low=low, high=high, basis="measured")


def _leak_inputs(
    profile: Profile,
    evidence: Evidence,
    rates: tuple[LeakRate, ...],
    told: tuple[Beta, Beta] | None,
) -> dict:
    found: dict[str, Distribution] = {}
    if rates:
        found["leakage.rate"] = weighted_posterior(rates)
    if told and evidence.membership:
        found["leakage.membership_tpr"], found["leakage.membership_fpr"] = told
        prior = evidence.membership.prior
        stated = None if prior is None else Fixed(value=prior, basis="expert")
        found["data.membership_prior"] = stated or profile.data.membership_prior
    if evidence.utility and evidence.utility.held_out.value is not None:
        found["value.held_out_metric"] = _measured_share(evidence.utility.held_out)
    return found


def _nominal_inputs(profile: Profile) -> dict[str, Distribution]:
    """Placeholders for a profile that no audit has met yet: 0 leaks in 300 probes, 5% TPR."""
    found: dict[str, Distribution] = {
        "leakage.rate": Beta(a=0.5, b=300.5, basis="assumed", note="as after 0 of 300 probes"),
    }
    if profile.data.membership_sensitive:
        found["leakage.membership_tpr"] = Beta(a=15.5, b=285.5, basis="assumed")
        found["leakage.membership_fpr"] = Beta(a=3.5, b=297.5, basis="assumed")
        found["data.membership_prior"] = profile.data.membership_prior
    if profile.value.poc_gain is None:
        found["value.held_out_metric"] = Uniform(
            low=min(profile.value.baseline.mean + 0.01, 1.0),
            high=min(profile.value.baseline.mean + 0.10, 1.0),
            basis="assumed",
        )
    return found


def _net(at: Mapping[str, float], profile: Profile) -> float:
    """The yearly net at one point of the inputs: the chain at single numbers."""

    def get(name: str, default: float = 0.0) -> float:
        return at.get(name, default)

    rate = get("leakage.rate")
    membership = 0.0
    if "leakage.membership_tpr" in at:
        tpr, fpr = at["leakage.membership_tpr"], at["leakage.membership_fpr"]
        prior = min(max(at["data.membership_prior"], 1e-9), 1 - 1e-9)
        membership = float(membership_rate(tpr, fpr, prior))
    leaks = leaks_per_year(
        get("exposure.queries"),
        min(get("exposure.hit_share"), 1.0),
        rate,
        1.0,
        get("exposure.campaigns"),
        get("exposure.targets"),
        membership,
    )
    incidents = float(
        incidents_per_year(leaks, min(get("exposure.escalation"), 1.0), get("exposure.releases"))
    )
    records = get("data.records")
    exposed = min(records, records * (rate + membership))
    draws = {name.split(".")[1]: v for name, v in at.items() if name.startswith("loss.")}
    draws["regulator_fine"] = draws["regulator_probability"] * min(
        draws["regulator_fine"], profile.loss.cap
    )
    size = min(get("loss.incident_records"), max(exposed, 1.0))
    loss = incidents * float(incident_loss(draws, size, np.inf))
    if "value.held_out_metric" in at:
        gain = at["value.held_out_metric"] - get("value.baseline")
    else:
        gain = get("value.poc_gain")
    unit = get("value.value_per_unit") or (
        get("value.minutes_saved") / 60 * get("value.wage_per_hour")
    )
    return get("value.volume") * gain * unit - loss


def tornado(
    profile: Profile,
    evidence: Evidence | None = None,
    rates: tuple[LeakRate, ...] = (),
    told: tuple[Beta, Beta] | None = None,
) -> tuple[Swing, ...]:
    """All inputs that are not exactly known, the widest swing of the yearly net first.

    `rates` are the posteriors of extraction, `told` those of the attack's TPR and FPR where
    membership is priced. Without `evidence` the measured part is a placeholder, so that a profile
    alone can be judged.
    """
    swung = _leak_inputs(profile, evidence, rates, told) if evidence else _nominal_inputs(profile)
    for name, distribution in profile.inputs().items():
        if name == "data.records" or name.split(".")[0] in _SECTIONS:
            swung.setdefault(name, distribution)
    centre = {name: d.mean for name, d in swung.items()}
    swings = []
    for name, distribution in swung.items():
        low, high = (float(x) for x in distribution.quantile(np.array([0.05, 0.95])))
        if low == high:
            continue
        at_low, at_high = (_net({**centre, name: x}, profile) for x in (low, high))
        defaulted = name in profile.defaulted
        swings.append(Swing(name, low, high, at_low, at_high, distribution.basis, defaulted))
    return tuple(sorted(swings, key=lambda s: (-s.width, s.name)))


def top_inputs(profile: Profile) -> tuple[Swing, ...]:
    """The three inputs that matter most: where better knowledge pays first."""
    return tornado(profile)[:3]
