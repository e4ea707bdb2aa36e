"""What the risk model reads of a recorded audit: its counts and what it earns on unseen cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from memory_assets.history.bundle import Audit
from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.risk.evidence import Evidence, Membership, Stratum, Utility
from memory_assets.risk.leakage import JEFFREYS, membership_rate
from memory_assets.risk.profile import Profile

_FIXED_FPR = ("0.01", "0.1")
"""Nominal rates of the thresholds that the shadows fix; the first that the sample resolves."""
_STRATA = ("discoverable", "extraction_rate", "repetitions=")


@dataclass(frozen=True)
class Audited:
    """What pricing reads of an audit: its row, and the measurements that no control withholds."""

    audit: Audit
    measurements: tuple[Measurement, ...]


def _strata(measurements: Iterable[Measurement]) -> tuple[Stratum, ...]:
    """Hits of greedy extraction by repetition count; the whole where it was not split."""
    name, metric, split = _STRATA
    rows = [
        m
        for m in measurements
        if (m.family, m.name, m.metric) == ("extraction", name, metric)
        and m.estimate.k is not None
        and m.estimate.n
    ]
    tiers = [m for m in rows if m.stratum.startswith(split)]
    chosen = tiers or [m for m in rows if m.stratum == "all"]
    return tuple(
        Stratum(m.stratum, m.estimate.k or 0, m.estimate.n, weight=float(m.estimate.n))
        for m in chosen
    )


def _membership(
    measurements: Iterable[Measurement], prior: float | None, assumed: float
) -> Membership | None:
    """The attack that tells most, at the threshold that was fixed on the shadow models.

    `assumed` is the share of members by which attacks are ranked where the owner stated none.
    """
    counts = {
        (m.name, m.metric): m.estimate
        for m in measurements
        if m.family == "membership" and m.stratum == "all" and m.estimate.k is not None
    }
    for level in _FIXED_FPR:
        found = [
            Membership(name, tpr.k or 0, tpr.n, fpr.k or 0, fpr.n, prior, level)
            for (name, metric), tpr in counts.items()
            if metric == f"tpr_at_shadow_threshold_{level}"
            and (fpr := counts.get((name, f"fpr_at_shadow_threshold_{level}"))) is not None
        ]
        if found:
            share = assumed if prior is None else prior
            return max(found, key=lambda attack: _told(attack, share))
    return None


def _told(attack: Membership, prior: float) -> float:
    a, b = JEFFREYS
    tpr = (attack.tp + a) / (attack.members + a + b)
    fpr = (attack.fp + a) / (attack.non_members + a + b)
    return float(membership_rate(tpr, fpr, prior))


def _utility(
    measurements: Sequence[Measurement],
    profile: Profile,
    version: str,
    outcomes: Mapping[str, Estimate] | None,
) -> Utility | None:
    """The metric on unseen cases, and which share of its gain memorized records bring.

    Where the owner brings outcomes they alone are the metric, so that no two versions are compared
    by different ones; else it is the accuracy on held-out records. What memorized records bring was
    measured in that accuracy alone.
    """
    by = {(m.family, m.name, m.metric): m.estimate for m in measurements if m.stratum == "all"}
    if outcomes is not None:
        outcome = outcomes.get(version)
        return None if outcome is None else Utility(profile.value.metric, outcome)
    held_out = by.get(("utility", "target", "held_out_accuracy"))
    if held_out is None or held_out.value is None:
        return None
    training = by.get(("utility", "target", "member_accuracy"))
    gain = held_out.value - profile.value.baseline.mean
    brought = by.get(("memorization", "gain", "held_out_gain"))
    share = None
    if brought is not None and brought.value is not None and gain > 0:
        ends = (brought.value, brought.ci_low, brought.ci_high)
        value, low, high = (None if e is None else min(max(e / gain, 0.0), 1.0) for e in ends)
        share = Estimate(value, low, high, n=brought.n)
    return Utility(
        metric=profile.value.metric,
        held_out=held_out,
        training=training.value if training else None,
        memorized_share=share,
    )


def evidence_of(
    audited: Audited,
    profile: Profile,
    prior: float | None,
    outcomes: Mapping[str, Estimate] | None = None,
) -> Evidence:
    """An audit as the risk model reads it: counts, a held-out metric, a verdict; no record.

    Args:
        prior: the share of members that the owner stated; None takes the profile's.
        outcomes: by version, how often it was right on the owner's unseen cases.
    """
    found = audited.measurements
    return Evidence(
        audit_id=audited.audit.audit_id,
        verdict=audited.audit.verdict,
        reason=audited.audit.reason,
        strata=_strata(found),
        membership=_membership(found, prior, profile.data.membership_prior.mean),
        utility=_utility(found, profile, audited.audit.model_version, outcomes),
    )
