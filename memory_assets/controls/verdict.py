"""The verdict: intervals against the owner's limits, and nothing at all from an invalid audit.

A gate passes when the whole interval of *every* attack lies below the limit. It fails when the
whole interval of *some* attack lies above it; as any one of many attacks may do so by chance,
these lower ends are widened to hold together (Bonferroni over all gated rows). In between it is
inconclusive, and says how many records would settle it if the rates stay as they are. A lower bound
(an empirical epsilon) has no upper end: it can fail a gate and never pass one.

A metric that is better when it is higher (what the model is good for) has the least that is allowed
as its limit, and all is the other way round: its rows are judged in the mirror of their range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import scipy

from memory_assets.controls.scoring import percent
from memory_assets.errors import InputError
from memory_assets.formulas import GATE, together
from memory_assets.results.metrics import Metric, find, rate_of
from memory_assets.sentences import say
from memory_assets.statistics.estimate import Control, Estimate, Measurement, Verdict
from memory_assets.statistics.intervals import CONFIDENCE, clopper_pearson

_MOST_RECORDS = 10**9

Outcome = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True)
class Gate:
    """The limits that the owner has set, by metric: `{"tpr_at_fpr_0.01": 0.05}`.

    Each is the largest value that may pass, or the least where a lower value is worse. Which limits
    an owner may write is said by `results.metrics.limit_of`.

    Raises:
        InputError: a limit that is not a finite number of at least 0.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for metric, limit in self.thresholds.items():
            number = isinstance(limit, int | float) and not isinstance(limit, bool)
            if not number or not math.isfinite(limit) or limit < 0:
                raise InputError(f"gate.{metric}: {limit!r}; expected a number of at least 0")


@dataclass(frozen=True)
class GateResult:
    """One limit and the row that decided: its `estimate` carries the widened lower end.

    `records_needed` would settle an inconclusive one; None where no number would or it is settled.
    """

    metric: str
    threshold: float
    outcome: Outcome
    row: Measurement | None
    records_needed: int | None
    sentence: str


@dataclass(frozen=True)
class Decision:
    """The verdict with its reason in words, and the gate as rows of the family `gate`.

    For every gated metric there is a row of that metric, `name` being the attack that decided; one
    `<metric>:threshold`; and, where more records would settle it, one `<metric>:records_needed`.
    """

    verdict: Verdict
    reason: str
    gate_measurements: tuple[Measurement, ...]
    results: tuple[GateResult, ...]


def gated(measurements: Sequence[Measurement], metric: str) -> list[Measurement]:
    """The rows that a limit on `metric` is held against: over all records where there are such.

    Raises:
        InputError: nothing measured has that name.
    """
    rows = [m for m in measurements if m.metric == metric and m.family != "gate"]
    if not rows:
        there = sorted({m.metric for m in measurements if m.family != "gate"})
        raise InputError(
            f"gate.{metric}: no such metric was measured; expected one of {', '.join(there)}"
        )
    rows = [m for m in rows if m.estimate.status != "not_run"]
    known = find(metric)
    if known is not None and known.family is not None:
        rows = [m for m in rows if m.family == known.family]
    return [m for m in rows if m.stratum == "all"] or rows


def _is_rate(estimate: Estimate) -> bool:
    """Whether the interval is that of k hits in n independent trials."""
    if estimate.k is None or estimate.value is None or estimate.ci_low is None:
        return False
    return math.isclose(estimate.ci_low, clopper_pearson(estimate.k, estimate.n)[0], abs_tol=1e-9)


def _widened(estimate: Estimate, rows: int) -> Estimate:
    """The lower end at a confidence that holds for `rows` rows together."""
    if estimate.value is None or estimate.ci_low is None or rows == 1:
        return estimate
    level = 1 - (1 - CONFIDENCE) / rows
    if _is_rate(estimate) and estimate.k is not None:
        low = clopper_pearson(estimate.k, estimate.n, level)[0]
    else:
        scale = scipy.stats.norm.ppf((1 + level) / 2) / scipy.stats.norm.ppf((1 + CONFIDENCE) / 2)
        low = estimate.value - (estimate.value - estimate.ci_low) * float(scale)
    return replace(estimate, ci_low=min(low, estimate.ci_low))


def side_of(metric: str, estimate: Estimate, limit: float) -> Outcome:
    """Passed with the whole interval on the good side of the limit, failed with all of it on the
    bad one."""
    return _side_of(*as_at_most(metric, estimate, limit))


def as_at_most(metric: str, estimate: Estimate, limit: float) -> tuple[Estimate, float]:
    """An estimate and its limit such that higher is worse: mirrored where the limit is a least."""
    known = find(metric)
    if known is None or not known.is_limit_from_below:
        return estimate, limit
    return _mirrored(estimate, known), _opposite(limit, known)


def _side_of(estimate: Estimate, limit: float) -> Outcome:
    below = estimate.ci_high is not None and estimate.ci_high < limit
    if below and estimate.status != "at_ceiling":
        return "pass"
    above = estimate.ci_low is not None and estimate.ci_low > limit
    return "fail" if above else "inconclusive"


def _rate_settles(rate: float, n: float, limit: float, tail: float) -> bool:
    hits = rate * n
    if rate < limit:
        return float(scipy.stats.beta.ppf(1 - tail, hits + 1, n - hits)) < limit
    return float(scipy.stats.beta.ppf(tail, hits, n - hits + 1)) > limit


def _needed(m: Measurement, limit: float, rows: int) -> int | None:
    """Records with which this row, its value unchanged, would leave the limit on one side."""
    e = m.estimate
    if e.value is None:
        aimed = rate_of(m.metric)
        return None if aimed is None else math.ceil(1 / aimed - 1e-9)
    if e.value == limit:
        return None
    end = e.ci_high if e.value < limit else e.ci_low
    if end is None:
        return None
    if not _is_rate(e) or not 0 < limit < 1:
        return max(math.ceil(e.n * ((end - e.value) / (limit - e.value)) ** 2), e.n + 1)
    tail = (1 - CONFIDENCE) / 2 / (1 if e.value < limit else rows)
    low, high = e.n, 2 * e.n
    while not _rate_settles(e.value, high, limit, tail):
        low, high = high, 2 * high
        if high > _MOST_RECORDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        settled = _rate_settles(e.value, middle, limit, tail)
        low, high = (low, middle) if settled else (middle, high)
    return high


def _settling(rows: Sequence[Measurement], limit: float, family: int) -> int | None:
    """What would settle a metric: the first row above to fail, or else the last below to pass."""
    above = [m for m in rows if m.estimate.value is not None and m.estimate.value > limit]
    needed = [_needed(m, limit, family) for m in above or rows]
    known = [n for n in needed if n is not None]
    if above:
        return min(known, default=None)
    return max(known) if known and len(known) == len(needed) else None


def _figure(m: Measurement, value: float) -> str:
    return percent(value) if m.estimate.k is not None else f"{value:.3g}"


def _told(m: Measurement) -> str:
    e = m.estimate
    if e.value is None:
        return say("told.missing", attack=m.name, status=e.status.replace("_", " "), n=e.n)
    ends = {"low": e.ci_low, "high": e.ci_high}
    known = {name: _figure(m, end) for name, end in ends.items() if end is not None}
    missing = "interval" if len(known) == 2 else "no_ends" if not known else None
    form = missing or ("no_high" if "low" in known else "no_low")
    return say(f"told.{form}", attack=m.name, value=_figure(m, e.value), n=e.n, **known)


def _opposite(value: float, metric: Metric) -> float:
    """The value on the range read from its other end, where higher is worse again."""
    return (metric.low or 0.0) + (metric.high or 0.0) - value


def _mirrored(estimate: Estimate, metric: Metric) -> Estimate:
    def mirror(value: float | None) -> float | None:
        return None if value is None else _opposite(value, metric)

    return replace(
        estimate,
        value=mirror(estimate.value),
        ci_low=mirror(estimate.ci_high),
        ci_high=mirror(estimate.ci_low),
        k=None if estimate.k is None else estimate.n - estimate.k,
    )


def _judge(metric: str, limit: float, rows: list[Measurement], family: int) -> GateResult:
    """One limit against its rows, whichever side of it is the bad one."""
    known = find(metric)
    if known is None or not known.is_limit_from_below:
        return _judged(metric, limit, rows, family, _AtMost(limit))

    def mirror(m: Measurement) -> Measurement:
        return replace(m, estimate=_mirrored(m.estimate, known))

    words = _AtLeast(limit, mirror)
    found = _judged(metric, _opposite(limit, known), [mirror(m) for m in rows], family, words)
    row = None if found.row is None else mirror(found.row)
    return replace(found, threshold=limit, row=row)


@dataclass(frozen=True)
class _AtMost:
    """How a limit and the rows beside it are put into words."""

    limit: float
    as_measured: Callable[[Measurement], Measurement] = lambda m: m
    suffix = ""

    def say(self, key: str, metric: str, row: Measurement, **values: object) -> str:
        row = self.as_measured(row)
        told, limit = _told(row), _figure(row, self.limit)
        return say(f"verdict.{key}{self.suffix}", metric=metric, told=told, limit=limit, **values)


@dataclass(frozen=True)
class _AtLeast(_AtMost):
    suffix = "_least"


def _judged(
    metric: str, limit: float, rows: list[Measurement], family: int, words: _AtMost
) -> GateResult:
    """The outcome where a higher value is worse."""
    if not rows:
        sentence = say("verdict.not_run", metric=metric)
        return GateResult(metric, limit, "inconclusive", None, None, sentence)
    rows = [replace(m, estimate=_widened(m.estimate, family)) for m in rows]
    sides = {outcome: [] for outcome in ("pass", "fail", "inconclusive")}
    for m in rows:
        sides[_side_of(m.estimate, limit)].append(m)

    def highest(candidates: list[Measurement], end: str) -> Measurement:
        return max(candidates, key=lambda m: getattr(m.estimate, end) or m.estimate.value or 0.0)

    if sides["fail"]:
        row = highest(sides["fail"], "ci_low")
        return GateResult(metric, limit, "fail", row, None, words.say("fail", metric, row))
    if not sides["inconclusive"]:
        row = highest(rows, "ci_high")
        sentence = words.say("pass", metric, row, rows=len(rows))
        return GateResult(metric, limit, "pass", row, None, sentence)
    row = highest(sides["inconclusive"], "ci_high")
    needed = _settling(sides["inconclusive"], limit, family)
    bound = row.estimate.value is not None and row.estimate.ci_high is None
    key = "open_bound" if bound else "open_needs" if needed else "open"
    sentence = words.say(key, metric, row, needed=needed)
    return GateResult(metric, limit, "inconclusive", row, needed, sentence)


def _rows(result: GateResult, compared: int) -> list[Measurement]:
    unit = result.row.unit if result.row else "probability"
    version = together(GATE.version, result.row.formula_version if result.row else 1)

    def row(metric: str, unit: str, estimate: Estimate) -> Measurement:
        name = result.row.name if result.row else result.metric
        stratum = result.row.stratum if result.row else "all"
        return Measurement("gate", name, metric, unit, estimate, version, stratum)

    n = max(compared, 1)
    estimate = result.row.estimate if result.row else Estimate.not_run()
    limit = Estimate(float(result.threshold), None, None, n=n)
    found = [
        row(result.metric, unit, estimate),
        row(f"{result.metric}:threshold", unit, limit),
    ]
    if result.records_needed:
        needed = Estimate(float(result.records_needed), None, None, n=n)
        found.append(row(f"{result.metric}:records_needed", "count", needed))
    return found


@GATE.computes
def decide(
    measurements: Sequence[Measurement], controls: Sequence[Control], gate: Gate
) -> Decision:
    """Hold the measurements against the gate, unless a control has failed.

    Without a limit nothing passes and nothing fails: inconclusive.

    Raises:
        InputError: a gated metric that was not measured; the message lists those that were.
    """
    compared = {metric: gated(measurements, metric) for metric in gate.thresholds}
    family = max(sum(len(rows) for rows in compared.values()), 1)
    results = tuple(
        _judge(metric, limit, compared[metric], family) for metric, limit in gate.thresholds.items()
    )
    rows = tuple(m for r in results for m in _rows(r, len(compared[r.metric])))
    failed = [c for c in controls if not c.passed]
    verdict: Verdict
    if failed:
        named = (f"{say('verdict.of_control', control=c.control)} {c.detail}" for c in failed)
        reason = " ".join([say("verdict.invalid"), *named])
        verdict = "insufficient evidence"
    elif not results:
        verdict, reason = "inconclusive", say("verdict.no_limit")
    else:
        outcomes = [r.outcome for r in results]
        verdict = "pass"
        if any(o != "pass" for o in outcomes):
            verdict = "fail" if "fail" in outcomes else "inconclusive"
        reason = "; ".join(r.sentence for r in results if r.outcome == verdict) + "."
    return Decision(verdict, reason, rows, results)
