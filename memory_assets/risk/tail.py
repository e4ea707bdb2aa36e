"""Expected loss, value at risk and the loss exceedance curve, each with its Monte-Carlo error.

Losses come as `[years, futures]`: the years of one future share what is not known, so they are
dependent, and every error below is taken over whole futures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from memory_assets.risk.distribution import Basis, Floats
from memory_assets.risk.figure import Figure
from memory_assets.statistics.intervals import Z95


@dataclass(frozen=True)
class Exceedance:
    """One point of the curve: in a year, the loss is above `loss` with `probability`."""

    probability: float
    loss: float
    low: float
    high: float


@dataclass(frozen=True)
class Simulated:
    """A simulated amount with its Monte-Carlo error: 95% interval and standard error, money."""

    value: float
    low: float
    high: float
    error: float

    def figure(self, unit: str, basis: Basis) -> Figure:
        return Figure(self.value, self.low, self.high, unit, basis, "monte-carlo", self.error)


class AnnualLosses:
    """A simulated loss by future and year, sorted once for all its quantiles.

    Args:
        losses: `[years, futures]`, money, each 0 or more.
    """

    def __init__(self, losses: Floats) -> None:
        self._losses = losses
        # Most years lose nothing: only the others need sorting.
        self._positive = np.sort(losses[losses > 0])
        self._zeros = losses.size - len(self._positive)

    def _order(self, level: float) -> float:
        rank = math.ceil(self._losses.size * min(max(level, 0.0), 1.0)) - 1 - self._zeros
        return float(self._positive[rank]) if rank >= 0 else 0.0

    def _error(self, by_year: Floats) -> float:
        """Standard error of the mean of a yearly quantity, over independent futures."""
        futures = by_year.mean(axis=0)
        return float(futures.std(ddof=1)) / math.sqrt(len(futures))

    def mean(self) -> Simulated:
        """The expected annual loss."""
        return self._around(float(self._losses.mean()), self._error(self._losses))

    @staticmethod
    def _around(value: float, error: float) -> Simulated:
        return Simulated(value, max(value - Z95 * error, 0.0), value + Z95 * error, error)

    def _quantile(self, level: float) -> tuple[float, float, float]:
        """Quantile and its interval: the level's own error carried to the loss (Woodruff 1952)."""
        value = self._order(level)
        error = self._error((self._losses <= value).astype(np.float64))
        return value, self._order(level - Z95 * error), self._order(level + Z95 * error)

    def value_at_risk(self, level: float) -> Simulated:
        """The loss that a year exceeds with probability `1 - level`."""
        value, low, high = self._quantile(level)
        return Simulated(value, low, high, (high - low) / (2 * Z95))

    def tail_mean(self, level: float) -> Simulated:
        """CVaR: `VaR + E[(X - VaR)+]/(1 - level)`, the mean of the worst `1 - level` of years.

        At a fixed VaR the formula is a mean, and it is flat in VaR at its minimum (Rockafellar and
        Uryasev 2000), so the mean's error is the error of the whole.
        """
        quantile = self._order(level)
        beyond = np.maximum(self._losses - quantile, 0.0) / (1 - level)
        return self._around(quantile + float(beyond.mean()), self._error(beyond))

    def exceedance(self, points: int = 16) -> tuple[Exceedance, ...]:
        """The curve from the most frequent loss to one that a few simulated years exceed."""
        size = self._losses.size
        frequent = len(self._positive) / size
        rarest = 10 / size
        if frequent <= rarest:
            return ()
        levels = np.geomspace(frequent * 0.999, rarest, points)
        return tuple(Exceedance(float(p), *self._quantile(1 - float(p))) for p in levels)
