"""What the model earns: only gains on records it never saw, times volume, times a unit's worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from memory_assets.results.estimate import Estimate
from memory_assets.risk.distribution import Basis, Distribution, Floats, weakest
from memory_assets.risk.evidence import Evidence, Utility
from memory_assets.risk.figure import Figure, exact, over_futures
from memory_assets.risk.options import Option
from memory_assets.risk.profile import Profile, Value
from memory_assets.risk.simulation import Streams
from memory_assets.statistics.intervals import Z95


@dataclass(frozen=True)
class Worth:
    """Annual value by future, `[futures]` money a year, and the ground it stands on."""

    annual: Floats
    basis: Basis


def estimate_draws(estimate: Estimate, u: Floats) -> Floats | None:
    """Draws of a measured share from its 95% interval (a normal half on each side), within [0, 1].

    None where the estimate has no value.
    """
    if estimate.value is None:
        return None
    low = estimate.value if estimate.ci_low is None else estimate.ci_low
    high = estimate.value if estimate.ci_high is None else estimate.ci_high
    z = ndtri(np.clip(u, 1e-12, 1 - 1e-12)) / Z95
    side = np.where(z < 0, estimate.value - low, high - estimate.value)
    return np.clip(estimate.value + z * side, 0.0, 1.0)


def unit_worth(value: Value) -> tuple[Distribution, ...]:
    """The distributions whose product is a unit's worth (minutes count in hours)."""
    if value.value_per_unit is not None:
        return (value.value_per_unit,)
    if value.minutes_saved is None or value.wage_per_hour is None:
        raise ValueError("a profile states a unit's worth; read it with load_profile")
    return (value.minutes_saved.scaled(1 / 60), value.wage_per_hour)


def _utility(option: Option, evidence: Evidence) -> Utility | None:
    """The option's own measurement where there is one, else that of the model as it is."""
    own = option.evidence.utility if option.measured and option.evidence else None
    return own or evidence.utility


def annual_value(
    option: Option, evidence: Evidence, profile: Profile, streams: Streams, futures: int
) -> Worth | None:
    """`volume x (held-out metric - baseline) x unit worth`; None where no gain was measured.

    An option without its own audit takes the model's gain and its declared change of the metric.
    """
    kpi = profile.value
    utility = _utility(option, evidence)
    metric = (
        estimate_draws(utility.held_out, streams.uniform(futures, "held-out")) if utility else None
    )
    grounds: list[Basis] = [kpi.volume.basis, *(d.basis for d in unit_worth(kpi))]
    if metric is not None:
        gain = metric - streams.draw(kpi.baseline, futures, "value", "baseline")
        grounds.append(kpi.baseline.basis)
    elif kpi.poc_gain is not None:
        gain = streams.draw(kpi.poc_gain, futures, "value", "poc_gain")
        grounds.append(kpi.poc_gain.basis)
    else:
        return None
    own = option.measured and option.evidence is not None and option.evidence.utility is not None
    if not own:
        for m in option.measures:
            gain = gain + streams.draw(m.metric_change, futures, m.name, "metric_change")
            grounds.append(m.metric_change.basis)
    worth = streams.draw(kpi.volume, futures, "value", "volume") * gain
    for part, distribution in enumerate(unit_worth(kpi)):
        worth = worth * streams.draw(distribution, futures, "value", "unit", part)
    return Worth(worth, weakest(*grounds))


def memorized_value(evidence: Evidence, worth: Worth, streams: Streams, unit: str) -> Figure | None:
    """The annual value that rests on memorized records: what removing them all would cost."""
    if evidence.utility is None or evidence.utility.memorized_share is None:
        return None
    u = streams.uniform(len(worth.annual), "memorized-share")
    share = estimate_draws(evidence.utility.memorized_share, u)
    return None if share is None else over_futures(share * worth.annual, unit, worth.basis)


def uncounted_training_gain(evidence: Evidence, profile: Profile) -> Figure | None:
    """What the metric on training records would add if it counted. It does not: it is memory."""
    utility = evidence.utility
    if utility is None or utility.training is None or utility.held_out.value is None:
        return None
    parts = (profile.value.volume, *unit_worth(profile.value))
    grounds: list[Basis] = [d.basis for d in parts]
    amount = utility.training - utility.held_out.value
    for distribution in parts:
        amount *= distribution.mean
    return exact(
        amount,
        profile.currency,
        weakest(*grounds),
        "shown only: a gain on training records is memorization and is not counted",
    )
