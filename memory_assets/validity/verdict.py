"""The verdict: intervals against the owner's limits, and nothing at all from an invalid audit.

A gate passes when the whole interval of *every* attack lies below the limit. It fails when the
whole interval of *some* attack lies above it; as any one of many attacks may do so by chance,
these lower ends are widened to hold together (Bonferroni over all gated rows). In between it is
inconclusive, and says how many records would settle it in 80% of samples, if the rates stay as they
are; and whether a model without a leak could pass with the records there are. A pass says what leak
would have been seen (`statistics.power`). A lower bound (an empirical epsilon) has no upper end: it
can fail a gate and never pass one.

A metric that is better when it is higher (what the model is good for) has the least that is allowed
as its limit, and all is the other way round: its rows are judged in the mirror of their range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import scipy

from memory_assets.errors import InputError
from memory_assets.results.estimate import Control, Estimate, Measurement, Verdict
from memory_assets.results.formulas import GATE, together
from memory_assets.results.metrics import Metric, find, own_false_positive_rate, refuse_guessing
from memory_assets.results.sentences import say
from memory_assets.statistics import power
from memory_assets.statistics.intervals import CONFIDENCE, clopper_pearson
from memory_assets.validity.scope import concerns, rests_on_shadows
from memory_assets.validity.scoring import percent
from memory_assets.validity.sensitivity import Sensitivity, sensitivity_of

_MOST_RECORDS = 10**9

Outcome = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True)
class Gate:
    """The limits that the owner has set, by metric: `{"tpr_at_fpr_0.01": 0.05}`.

    Each is the largest value that may pass, or the least where a lower value is worse. Which limits
    an owner may write is said by `results.metrics.limit_of`.

    Raises:
        InputError: a limit that is not a finite number of at least 0, or that guessing reaches.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for metric, limit in self.thresholds.items():
            number = isinstance(limit, int | float) and not isinstance(limit, bool)
            if not number or not math.isfinite(limit) or limit < 0:
                raise InputError(f"gate.{metric}: {limit!r}; expected a number of at least 0")
            refuse_guessing(metric, limit, limit)


@dataclass(frozen=True)
class GateResult:
    """One limit and the row that decided: its `estimate` carries the widened lower end.

    `records_needed` would settle an inconclusive one at 80% power; None where no number would or it
    is settled. `detectable` is the least true value that would be seen at 80% power.
    """

    metric: str
    threshold: float
    outcome: Outcome
    row: Measurement | None
    records_needed: int | None
    sentence: str
    detectable: float | None = None


@dataclass(frozen=True)
class Decision:
    """The verdict with its reason in words, and the gate as rows of the family `gate`.

    For every gated metric there is a row of that metric, `name` being the attack that decided; one
    `<metric>:threshold`; where it is known, one `<metric>:detectable`; and, where more records
    would settle it, one `<metric>:records_needed`.
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


def _needed(m: Measurement, limit: float, rows: int) -> int | None:
    """Records with which this row, its value unchanged, would settle at 80% power."""
    e, fpr = m.estimate, own_false_positive_rate(m.metric)
    if e.value is None:
        if fpr is None:
            return None
        return power.records_for_tpr(fpr, fpr, limit, start=math.ceil(1 / fpr - 1e-9))
    if e.value == limit:
        return None
    end = e.ci_high if e.value < limit else e.ci_low
    if end is None:
        return None
    level = CONFIDENCE if e.value < limit else 1 - (1 - CONFIDENCE) / rows
    if 0 < limit < 1 and _is_rate(e):
        return power.records_for_rate(e.value, limit, level, start=e.n + 1)
    if 0 < limit < 1 and fpr is not None:
        return power.records_for_tpr(e.value, fpr, limit, level, start=e.n + 1)
    half, distance = abs(end - e.value), abs(limit - e.value)
    return max(power.records_by_square(e.n, half, distance), e.n + 1)


def _settling(rows: Sequence[Measurement], limit: float, family: int) -> int | None:
    """What would settle a metric: the highest row above to fail, or else the highest below to pass.

    The highest is the one that needs the least to fail, and the most to pass.
    """
    known = [m for m in rows if m.estimate.value is not None]
    above = [m for m in known if (m.estimate.value or 0.0) > limit]
    highest = max(above or known, key=lambda m: m.estimate.value or 0.0, default=None)
    asked = [] if highest is None else [highest]
    if not above:
        asked += [m for m in rows if m.estimate.value is None][:1]
        asked += [m for m in known if m.estimate.ci_high is None][:1]
    needed = [_needed(m, limit, family) for m in asked]
    return max((n for n in needed if n is not None), default=None) if None not in needed else None


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


def _judge(
    metric: str,
    limit: float,
    rows: list[Measurement],
    family: int,
    shows: Callable[[Measurement], Sensitivity | None],
) -> GateResult:
    """One limit against its rows, whichever side of it is the bad one."""
    known = find(metric)
    if known is None or not known.is_limit_from_below:
        return _judged(metric, limit, rows, family, _AtMost(limit), shows)

    def mirror(m: Measurement) -> Measurement:
        return replace(m, estimate=_mirrored(m.estimate, known))

    mirrored = [mirror(m) for m in rows]
    words = _AtLeast(limit, mirror)
    found = _judged(metric, _opposite(limit, known), mirrored, family, words, lambda _: None)
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
    metric: str,
    limit: float,
    rows: list[Measurement],
    family: int,
    words: _AtMost,
    shows: Callable[[Measurement], Sensitivity | None],
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
        sentence = words.say("fail", metric, row)
        return GateResult(metric, limit, "fail", row, None, sentence, _least(shows(row)))
    if not sides["inconclusive"]:
        row = highest(rows, "ci_high")
        return _passed(metric, limit, row, shows(row), words, len(rows))
    row = highest(sides["inconclusive"], "ci_high")
    needed = _settling(sides["inconclusive"], limit, family)
    bound = row.estimate.value is not None and row.estimate.ci_high is None
    key, reach = "open_bound" if bound else "open_needs_power" if needed else "open", ""
    can = shows(row)
    below = (row.estimate.value or 0.0) < limit
    if can is not None and not can.can_pass and needed and below and can.passable is not None:
        key, reach = "open_cannot", _figure(row, can.passable)
    sentence = words.say(key, metric, row, needed=needed, reach=reach)
    return GateResult(metric, limit, "inconclusive", row, needed, sentence, _least(can))


def _least(can: Sensitivity | None) -> float | None:
    """The least leak that would be seen, whatever its shape."""
    return None if can is None else can.spread


def _passed(
    metric: str,
    limit: float,
    row: Measurement,
    can: Sensitivity | None,
    words: _AtMost,
    rows: int,
) -> GateResult:
    key, seen = "pass", {}
    if can is not None and can.few is not None and can.spread is not None:
        key = "pass_seen"
        seen = {"few": _figure(row, can.few), "spread": _figure(row, can.spread)}
    sentence = words.say(key, metric, row, rows=rows, **seen)
    return GateResult(metric, limit, "pass", row, None, sentence, _least(can))


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
    if result.detectable is not None:
        least = Estimate(result.detectable, None, None, n=n)
        found.append(row(f"{result.metric}:detectable", unit, least))
    return found


@GATE.computes
def decide(
    measurements: Sequence[Measurement],
    controls: Sequence[Control],
    gate: Gate,
    models: int | None = None,
) -> Decision:
    """Hold the measurements against the gate, less what a control withholds that has failed.

    A failed control withholds the limits on figures that rest on it (`controls.scope`). While one
    is withheld nothing passes; a limit that does not rest on it can fail all the same.

    `models` are the shadow models behind the attacks: what could be seen depends on them.

    Without a limit nothing passes and nothing fails: inconclusive.

    Raises:
        InputError: a gated metric that was not measured; the message lists those that were.
    """
    compared = {metric: gated(measurements, metric) for metric in gate.thresholds}
    family = max(sum(len(rows) for rows in compared.values()), 1)

    def judged(metric: str, limit: float) -> GateResult:
        def shows(row: Measurement) -> Sensitivity | None:
            return sensitivity_of(measurements, row, limit, models)

        return _judge(metric, limit, compared[metric], family, shows)

    results = tuple(judged(metric, limit) for metric, limit in gate.thresholds.items())
    rows = tuple(m for r in results for m in _rows(r, len(compared[r.metric])))
    failed = [c for c in controls if not c.passed]
    holding = [c for c in failed if not compared or any(concerns(c, r) for r in compared.values())]
    standing = [r for r in results if not any(concerns(c, compared[r.metric]) for c in holding)]
    verdict: Verdict
    if holding and not any(r.outcome == "fail" for r in standing):
        reason = f"{say('verdict.invalid')} {_named(holding)}"
        return Decision("insufficient evidence", reason, rows, results)
    if not results:
        verdict, reason = "inconclusive", say("verdict.no_limit")
    else:
        outcomes = [r.outcome for r in standing]
        verdict = "pass"
        if any(o != "pass" for o in outcomes):
            verdict = "fail" if "fail" in outcomes else "inconclusive"
        reason = "; ".join(r.sentence for r in standing if r.outcome == verdict) + "."
    return Decision(verdict, f"{reason}{_beside(failed)}", rows, results)


def _named(controls: Sequence[Control]) -> str:
    return " ".join(f"{say('verdict.of_control', control=c.control)} {c.detail}" for c in controls)


def _beside(failed: Sequence[Control]) -> str:
    """What is withheld although there is a verdict, and why."""
    told = ""
    for key, shadows in (("beside_shadows", True), ("beside_others", False)):
        if own := [c for c in failed if rests_on_shadows(c) == shadows]:
            told += f" {say(f'verdict.{key}')} {_named(own)}"
    return told
