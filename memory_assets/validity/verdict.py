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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import scipy

from memory_assets.errors import InputError
from memory_assets.results.estimate import Control, Estimate, Measurement, Verdict
from memory_assets.results.findings import Finding, finding, render_all
from memory_assets.results.formulas import GATE
from memory_assets.results.gate_results import GateResult, Outcome, verdict_of
from memory_assets.results.metrics import Metric, find, own_false_positive_rate, refuse_guessing
from memory_assets.statistics import power
from memory_assets.statistics.intervals import CONFIDENCE, clopper_pearson
from memory_assets.validity.scope import concerns, rests_on_shadows
from memory_assets.validity.sensitivity import Sensitivity, sensitivity_of

_MOST_RECORDS = 10**9


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
class Decision:
    """The verdict, what became of each limit, and why, as findings."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    results: tuple[GateResult, ...]

    @property
    def reason(self) -> str:
        """The findings in English."""
        return render_all(self.findings)


def gated(measurements: Sequence[Measurement], metric: str) -> list[Measurement]:
    """The rows that a limit on `metric` is held against: over all records where there are such.

    Raises:
        InputError: nothing measured has that name.
    """
    rows = [m for m in measurements if m.metric == metric]
    if not rows:
        there = sorted({m.metric for m in measurements})
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


def _told(m: Measurement) -> Finding:
    e, named = m.estimate, {"attack": m.name, "metric": m.metric}
    if e.value is None:
        return finding("told.missing", status=e.status.replace("_", " "), n=e.n, **named)
    ends = {"low": e.ci_low, "high": e.ci_high}
    known = {name: end for name, end in ends.items() if end is not None}
    missing = "interval" if len(known) == 2 else "no_ends" if not known else None
    form = missing or ("no_high" if "low" in known else "no_low")
    return finding(f"told.{form}", value=e.value, n=e.n, **named, **known)


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
    return replace(found, limit=limit, direction="at least", row=row)


@dataclass(frozen=True)
class _AtMost:
    """How a limit and the rows beside it are put into words."""

    limit: float
    as_measured: Callable[[Measurement], Measurement] = lambda m: m
    suffix = ""

    def tell(self, key: str, metric: str, row: Measurement, **values: object) -> Finding:
        told, key = _told(self.as_measured(row)), f"verdict.{key}{self.suffix}"
        return finding(key, metric=metric, told=told, limit=self.limit, **values)


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
        found = (finding("verdict.not_run", metric=metric),)
        return GateResult(metric, limit, "at most", "inconclusive", None, None, found)
    rows = [replace(m, estimate=_widened(m.estimate, family)) for m in rows]
    sides: dict[Outcome, list[Measurement]] = {"pass": [], "fail": [], "inconclusive": []}
    for m in rows:
        sides[_side_of(m.estimate, limit)].append(m)

    def highest(candidates: list[Measurement], end: str) -> Measurement:
        return max(candidates, key=lambda m: getattr(m.estimate, end) or m.estimate.value or 0.0)

    outcome: Outcome
    needed = None
    if sides["fail"]:
        outcome, row = "fail", highest(sides["fail"], "ci_low")
        can = shows(row)
        found = words.tell("fail", metric, row)
    elif not sides["inconclusive"]:
        outcome, row = "pass", highest(rows, "ci_high")
        can = shows(row)
        found = _passed(metric, row, can, words, len(rows))
    else:
        outcome, row = "inconclusive", highest(sides["inconclusive"], "ci_high")
        can = shows(row)
        needed = _settling(sides["inconclusive"], limit, family)
        found = _left_open(metric, limit, row, can, words, needed)
    least = None if can is None else can.spread  # whatever the shape of the leak
    return GateResult(metric, limit, "at most", outcome, row, needed, (found,), least)


def _passed(
    metric: str, row: Measurement, can: Sensitivity | None, words: _AtMost, rows: int
) -> Finding:
    if can is None or can.few is None or can.spread is None:
        return words.tell("pass", metric, row, rows=rows)
    return words.tell("pass_seen", metric, row, rows=rows, few=can.few, spread=can.spread)


def _left_open(
    metric: str,
    limit: float,
    row: Measurement,
    can: Sensitivity | None,
    words: _AtMost,
    needed: int | None,
) -> Finding:
    """Why a limit is left open, and what would settle it."""
    if row.estimate.value is not None and row.estimate.ci_high is None:
        return words.tell("open_bound", metric, row)
    if needed is None:
        return words.tell("open", metric, row)
    below = (row.estimate.value or 0.0) < limit
    if can is not None and not can.can_pass and below and can.passable is not None:
        return words.tell("open_cannot", metric, row, needed=needed, reach=can.passable)
    return words.tell("open_needs_power", metric, row, needed=needed)


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

    failed = [c for c in controls if not c.passed]
    holding = [c for c in failed if not compared or any(concerns(c, r) for r in compared.values())]
    results = tuple(
        replace(judged(metric, limit), withheld=any(concerns(c, compared[metric]) for c in holding))
        for metric, limit in gate.thresholds.items()
    )
    verdict = verdict_of(results, controls)
    if verdict == "insufficient evidence":
        return Decision(verdict, (finding("verdict.invalid"), *_named(holding)), results)
    deciding = [r for r in results if r.outcome == verdict and not r.withheld]
    told = tuple(one for r in deciding for one in r.findings)
    why = finding("verdict.limits", limits=told) if results else finding("verdict.no_limit")
    return Decision(verdict, (why, *_beside(failed)), results)


def _named(controls: Sequence[Control]) -> Iterator[Finding]:
    for control in controls:
        yield finding("verdict.of_control", control=control.control)
        yield from control.findings


def _beside(failed: Sequence[Control]) -> Iterator[Finding]:
    """What is withheld although there is a verdict, and why."""
    for key, shadows in (("beside_shadows", True), ("beside_others", False)):
        if own := [c for c in failed if rests_on_shadows(c) == shadows]:
            yield finding(f"verdict.{key}")
            yield from _named(own)
