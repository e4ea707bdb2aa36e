"""What an audit found, in the few facts that a reader needs first; the catalogue has the words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from memory_assets.memorization.per_record import MEMORIZED
from memory_assets.reports.inputs import ReportInput
from memory_assets.results.estimate import Measurement
from memory_assets.results.gate_results import GateResult
from memory_assets.validity.scope import is_withheld

RATES = ("tpr_at_fpr_0.001", "tpr_at_fpr_0.01", "tpr_at_fpr_0.1")
"""The headline metric is the first of these that the sample resolves."""

Direction = Literal["worse", "better", "unclear"]


@dataclass(frozen=True)
class Memorization:
    """The target's training records: ids, scores and intervals `[r]`, and influence where known."""

    record_ids: tuple[str, ...]
    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    influence: NDArray[np.float64]

    @property
    def clear(self) -> NDArray[np.bool_]:
        """Which records are memorized beyond doubt: the whole interval lies above `MEMORIZED`."""
        return self.low > MEMORIZED


@dataclass(frozen=True)
class Change:
    """How a metric moved since the last audited version."""

    version: str
    before: float
    now: float
    direction: Direction


def family(found: ReportInput, name: str) -> list[Measurement]:
    """The measurements of one family over all records."""
    return [m for m in found.bundle.measurements if m.family == name]


def resolved(measurements: Iterable[Measurement]) -> list[Measurement]:
    return [m for m in measurements if m.estimate.value is not None]


def attacks_withheld(found: ReportInput) -> bool:
    """Whether a control failed on which every figure of an attack rests."""
    return is_withheld("membership", found.bundle.controls)


def headline(found: ReportInput) -> Measurement | None:
    """The strongest attack at the smallest false positive rate that the sample can resolve.

    None also where there is a verdict that does not rest on attacks, and these are withheld.
    """
    if found.bundle.audit.verdict != "insufficient evidence" and attacks_withheld(found):
        return None
    attacks = [m for m in resolved(family(found, "membership")) if m.stratum == "all"]
    for metric in (*RATES, "auc"):
        at_rate = [m for m in attacks if m.metric == metric]
        if at_rate:
            return max(at_rate, key=lambda m: m.estimate.value or 0.0)
    return None


def strongest_first(found: ReportInput) -> list[str]:
    """The attacks by the headline metric; those that it does not resolve come last."""
    top = headline(found)
    # Rows about pairs of attacks have an overlap, and no rate of their own.
    rows = {m.name: -1.0 for m in family(found, "membership") if m.metric in (*RATES, "auc")}
    for m in resolved(family(found, "membership")):
        if top is not None and m.metric == top.metric and m.stratum == "all":
            rows[m.name] = m.estimate.value or 0.0
    return sorted(rows, key=lambda name: -rows[name])


def gate_rows(found: ReportInput) -> list[GateResult]:
    """What became of each limit on a metric, as the audit stored it."""
    return [result for result in found.bundle.gate_results if not result.is_claim]


@dataclass(frozen=True)
class LeastLeaks:
    """The least leaks that a sample would have shown: a few records wholly, or all a little."""

    few: float | None
    spread: float | None


def least_leaks(found: ReportInput, row: Measurement) -> LeastLeaks | None:
    """What the sample behind a figure would have shown; None where no power is known of it."""
    for m in found.bundle.measurements:
        same = (m.name, m.stratum, m.metric) == (row.name, row.stratum, row.metric)
        if same and not (m.least_few is None and m.least_spread is None):
            return LeastLeaks(m.least_few, m.least_spread)
    return None


def memorization(found: ReportInput) -> Memorization | None:
    """Scores by record for the records that the target was trained on, the highest first."""
    table = found.bundle.record_scores
    table = table.filter(pc.field("member") & pc.field("memorization").is_valid())
    if not table.num_rows:
        return None
    columns = ["memorization", "memorization_low", "memorization_high", "influence"]
    # The same record stands there once for every attack.
    one = table.group_by("record_id").aggregate([(column, "max") for column in columns])
    one = one.sort_by([("memorization_max", "descending"), ("record_id", "ascending")])
    numbers = [
        pc.fill_null(one[f"{column}_max"], float("nan")).to_numpy().astype(float)
        for column in columns
    ]
    return Memorization(tuple(one["record_id"].to_pylist()), *numbers)


def attacks_of(trend: pa.Table, metric: str) -> list[dict]:
    """The rows of a trend about attacks on all records, for one metric, oldest first."""
    wanted = pc.field("metric") == metric
    for column, value in (("family", "membership"), ("population", "all")):
        if column in trend.column_names:
            wanted = wanted & (pc.field(column) == value)
    return sorted(trend.filter(wanted).to_pylist(), key=lambda row: row["finished_at"])


def trend_rows(found: ReportInput, metric: str) -> list[dict]:
    """Earlier audits of a metric and this one, oldest first: one row a version and attack.

    Of a version that was audited more than once the newest audit counts.
    """
    audit = found.bundle.audit
    earlier = [
        row
        for row in attacks_of(found.trend, metric)
        if row["subject"] == audit.subject and row["finished_at"] < audit.finished_at
    ]
    now = [
        {
            "model_version": audit.model_version,
            "finished_at": audit.finished_at,
            "attack": m.name,
            "value": m.estimate.value,
            "ci_low": m.estimate.ci_low,
            "ci_high": m.estimate.ci_high,
        }
        for m in family(found, "membership")
        if m.metric == metric and m.stratum == "all"
    ]
    newest: dict[tuple[str, str], dict] = {}
    for row in sorted([*earlier, *now], key=lambda row: row["finished_at"]):
        key = (row["model_version"], row["attack"])
        newest.pop(key, None)
        newest[key] = row
    return list(newest.values())


def moved(before: dict, now: dict) -> Direction:
    """Worse or better only where the two intervals do not touch."""
    bounds = (before["ci_low"], before["ci_high"], now["ci_low"], now["ci_high"])
    if any(bound is None for bound in bounds):
        return "unclear"
    if now["ci_low"] > before["ci_high"]:
        return "worse"
    return "better" if now["ci_high"] < before["ci_low"] else "unclear"


def change(found: ReportInput) -> Change | None:
    """The strongest attack now against the strongest one on the version before.

    Only attacks that both versions resolve count, so that a new attack is no change of the model.
    """
    top = headline(found)
    if top is None:
        return None
    rows = [row for row in trend_rows(found, top.metric) if row["value"] is not None]
    now = found.bundle.audit.model_version
    earlier = [row for row in rows if row["model_version"] != now]
    if not earlier:
        return None
    last = earlier[-1]["model_version"]
    by = {
        version: {row["attack"]: row for row in rows if row["model_version"] == version}
        for version in (last, now)
    }
    both = by[last].keys() & by[now].keys()
    if not both:
        return None
    before, after = (max((by[v][n] for n in both), key=lambda r: r["value"]) for v in (last, now))
    return Change(last, before["value"], after["value"], moved(before, after))
