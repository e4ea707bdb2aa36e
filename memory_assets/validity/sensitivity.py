"""What an audit of this size can show of one gated metric, before it runs and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memory_assets.results.estimate import Measurement
from memory_assets.results.formulas import POWER
from memory_assets.results.metrics import own_false_positive_rate
from memory_assets.statistics import power

_OF = ("membership", "extraction")
_HITS = ("extraction_rate", "secret_extraction_rate")


@dataclass(frozen=True)
class Sensitivity:
    """The least leaks that would be seen, and the least limit that a model without one passes.

    Both at 80% power (`statistics.power`): `few` where some records leak wholly, `spread` where all
    leak a little. None: nothing would be seen, or no limit could be passed, with so few records.
    """

    metric: str
    limit: float | None
    members: int
    others: int
    models: int | None
    few: float | None
    spread: float | None
    passable: float | None

    @property
    def can_pass(self) -> bool:
        """Whether a model without a leak would pass its limit with 80% probability."""
        if self.limit is None:
            return True
        return self.passable is not None and self.limit > self.passable


@POWER.computes
def sensitivity(
    metric: str, limit: float | None, members: int, others: int, models: int | None
) -> Sensitivity | None:
    """None for a metric of which no power is known, or where there is nothing to compare.

    `others` are non-members or held-out texts, which a rate of hits does not need.
    """
    if members < 1 or (others < 1 and metric not in _HITS):
        return None
    few: float | None
    spread: float | None
    if metric == "auc":
        few = power.detectable_auc(members, others)
        spread = power.detectable_auc(members, others, models)
        passable = power.passable_auc(members, others)
    elif (fpr := own_false_positive_rate(metric)) is not None:
        few = power.detectable_tpr(members, others, fpr, "few")
        spread = power.detectable_tpr(members, others, fpr, "all", models)
        passable = power.passable_tpr(members, others, fpr)
    elif metric in _HITS:
        few = spread = power.detectable_rate(members)
        passable = power.passable_rate(members)
    else:
        return None
    return Sensitivity(metric, limit, members, others, models, few, spread, passable)


def sides(measurements: Sequence[Measurement], row: Measurement) -> tuple[int, int]:
    """Members and non-members behind a row; a rate counts its members, an AUC both."""

    beside = [
        (m.metric, m.estimate.n)
        for m in measurements
        if (m.family, m.name, m.stratum) == (row.family, row.name, row.stratum) and m.estimate.n
    ]
    if row.metric == "auc":
        found = (n for metric, n in beside if own_false_positive_rate(metric) is not None)
        members = next(found, row.estimate.n // 2)
        return members, max(row.estimate.n - members, 1)
    members = row.estimate.n
    both = next((n for metric, n in beside if metric == "auc"), None)
    return members, both - members if both is not None and both > members else members


def sensitivity_of(
    measurements: Sequence[Measurement], row: Measurement, limit: float, models: int | None
) -> Sensitivity | None:
    """What the sample behind a row can show."""
    return sensitivity(row.metric, limit, *sides(measurements, row), models)


def with_least_seen(
    measurements: Sequence[Measurement], models: int | None
) -> tuple[Measurement, ...]:
    """The same rows, each of which the power is known with the least leaks it would have shown."""

    def beside(row: Measurement) -> Measurement:
        if row.family not in _OF or row.estimate.status == "not_run":
            return row
        can = sensitivity(row.metric, None, *sides(measurements, row), models)
        return row if can is None else replace(row, least_few=can.few, least_spread=can.spread)

    return tuple(beside(row) for row in measurements)
