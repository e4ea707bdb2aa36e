"""A number of the risk report: value, interval, what the interval means, and on what ground."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memory_assets.risk.distribution import Basis, Floats
from memory_assets.statistics.intervals import clopper_pearson

Interval = Literal["futures", "credible", "monte-carlo", "none"]
"""`futures`: 5-95% over what is not known. `credible`: 95% after the audit's counts.
`monte-carlo`: 95% for the simulation's own error. `none`: computed exactly from its inputs."""


@dataclass(frozen=True)
class Figure:
    """`value` with `low` and `high`; `mc_error` is the simulation's standard error, same unit.

    `value` is None where there is none to give (a payback that never comes); `note` says why.
    """

    value: float | None
    low: float | None
    high: float | None
    unit: str
    basis: Basis
    interval: Interval = "none"
    mc_error: float = 0.0
    note: str = ""

    def __post_init__(self) -> None:
        numbers = [x for x in (self.value, self.low, self.high, self.mc_error) if x is not None]
        if not all(math.isfinite(x) for x in numbers):
            raise ValueError(f"a figure must be finite, got {numbers}")
        if self.value is None and not self.note:
            raise ValueError("a figure without a value must say why in its note")


def exact(value: float, unit: str, basis: Basis, note: str = "") -> Figure:
    """A figure that follows from its inputs without simulation."""
    return Figure(float(value), None, None, unit, basis, note=note)


def absent(unit: str, basis: Basis, note: str) -> Figure:
    """There is no such number; `note` says why."""
    return Figure(None, None, None, unit, basis, note=note)


def over_futures(draws: Floats, unit: str, basis: Basis, note: str = "") -> Figure:
    """Mean and 5-95% range of one draw per simulated future."""
    low, high = np.quantile(draws, [0.05, 0.95])
    error = draws.std(ddof=1) / math.sqrt(len(draws))
    return Figure(
        float(draws.mean()), float(low), float(high), unit, basis, "futures", float(error), note
    )


def over_counts(draws: Floats, unit: str, basis: Basis) -> Figure:
    """Mean and central 95% of a rate after the audit's counts."""
    low, high = np.quantile(draws, [0.025, 0.975])
    error = draws.std(ddof=1) / math.sqrt(len(draws))
    return Figure(
        float(draws.mean()), float(low), float(high), unit, basis, "credible", float(error)
    )


def share_of_futures(condition: NDArray[np.bool_], basis: Basis) -> Figure:
    """The probability that a condition holds, with the simulation's interval (Clopper-Pearson)."""
    k, n = int(condition.sum()), len(condition)
    low, high = clopper_pearson(k, n)
    p = k / n
    error = math.sqrt(p * (1 - p) / n)
    return Figure(p, low, high, "probability", basis, "monte-carlo", error)
