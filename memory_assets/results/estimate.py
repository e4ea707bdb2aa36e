"""A number never travels without its uncertainty: the value types of every measurement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from memory_assets.results.findings import Finding, render_all

Status = Literal["ok", "unresolvable", "vacuous", "at_ceiling", "not_run"]
"""`unresolvable`: this sample cannot show a rate so small. `vacuous`: a bound that bounds nothing.
`at_ceiling`: as large as this sample can ever show, the truth may be larger. `not_run`: no attempt.
"""

Verdict = Literal["pass", "fail", "inconclusive", "insufficient evidence"]
"""What an audit comes to. Without valid controls there is no verdict but the last."""


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval and the sample behind it.

    `n` counts the independent units behind the value (records, pairs, models, probes) and `k`
    the hits among them where the value is a rate. `value` and the interval are None where the
    sample cannot resolve them (`unresolvable`) or nothing was tried (`not_run`).

    Raises:
        ValueError: a value without n, a non-finite number, or an interval that is inside out.
    """

    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    k: int | None = None
    status: Status = "ok"

    def __post_init__(self) -> None:
        if self.status == "not_run":
            return
        if self.n < 1:
            raise ValueError(f"an estimate needs n >= 1, got {self.n}")
        if self.status == "ok" and self.value is None:
            raise ValueError("an estimate without a value must say why in its status")
        numbers = [x for x in (self.value, self.ci_low, self.ci_high) if x is not None]
        if not all(math.isfinite(x) for x in numbers):
            raise ValueError(f"an estimate must be finite, got {numbers}")
        if self.ci_low is not None and self.ci_high is not None and self.ci_low > self.ci_high:
            raise ValueError(f"interval is inside out: [{self.ci_low}, {self.ci_high}]")

    @classmethod
    def unresolvable(cls, n: int, k: int | None = None) -> Estimate:
        """The sample of `n` is too small to say anything about this rate."""
        return cls(None, None, None, n=n, k=k, status="unresolvable")

    @classmethod
    def not_run(cls) -> Estimate:
        """Listed so that a reader sees what was not measured."""
        return cls(None, None, None, n=0, status="not_run")


def number(value: float | None) -> float:
    """The value of an estimate that must have one."""
    if value is None:
        raise ValueError("a rate without a value cannot be combined")
    return value


@dataclass(frozen=True)
class Measurement:
    """One row of the table `measurements`: what was measured, by which formula, and how surely.

    `family` groups instruments (membership, memorization, information, epsilon, utility,
    extraction, exposure), `name` is the attack or estimator in its registry, `metric` what it
    reports (auc, tpr_at_fpr_0.01), `unit` one of probability, nats, bits or count. `least_few` and
    `least_spread` are the least true values that its sample would have shown at 80% power, where
    some records leak wholly and where all leak a little; None where no power is known of it.
    """

    family: str
    name: str
    metric: str
    unit: str
    estimate: Estimate
    formula_version: int
    stratum: str = "all"
    least_few: float | None = None
    least_spread: float | None = None


@dataclass(frozen=True)
class Control:
    """One row of the table `controls`: is this audit valid? `findings` say what was seen."""

    control: str
    passed: bool
    value: float | None
    ci_low: float | None
    ci_high: float | None
    findings: tuple[Finding, ...]

    @property
    def detail(self) -> str:
        """The findings in English."""
        return render_all(self.findings)
