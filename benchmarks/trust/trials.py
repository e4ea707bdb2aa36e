"""Trials of intervals against a truth, counted by figure, and the counts as rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from memory_assets.results.estimate import Estimate
from memory_assets.statistics.intervals import clopper_pearson

World = Callable[[np.random.Generator], "Iterable[Trial]"]


@dataclass(frozen=True)
class Trial:
    """One interval of a figure in a world whose `truth` is known; an end that is None is open."""

    figure: str
    world: str
    low: float | None
    high: float | None
    truth: float
    nominal: float = 0.95

    @property
    def resolved(self) -> bool:
        return self.low is not None or self.high is not None

    @property
    def too_high(self) -> bool:
        """The whole interval lies above the truth: leakage where there is less."""
        return self.low is not None and self.truth < self.low - 1e-12

    @property
    def too_low(self) -> bool:
        return self.high is not None and self.truth > self.high + 1e-12


def trial(figure: str, world: str, e: Estimate, truth: float, nominal: float = 0.95) -> Trial:
    """The trial of an estimate."""
    return Trial(figure, world, e.ci_low, e.ci_high, truth, nominal)


@dataclass
class Count:
    """All trials of one figure in one world."""

    figure: str
    world: str
    nominal: float
    tried: int = 0
    too_high: int = 0
    too_low: int = 0
    unresolved: int = 0
    widths: list[float] = field(default_factory=list)

    @property
    def covered(self) -> int:
        return self.tried - self.too_high - self.too_low

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Clopper-Pearson interval of the coverage."""
        return clopper_pearson(self.covered, self.tried, confidence)

    def short(self, confidence: float = 0.95) -> bool:
        """Whether the coverage lies below the nominal one by more than chance."""
        return self.tried > 0 and self.interval(confidence)[1] < self.nominal

    def cells(self) -> Sequence[str]:
        if not self.tried:
            return (self.figure, self.world, f"{self.nominal:.0%}", "never resolved", "", "", "")
        low, high = self.interval()
        width = f"{np.mean(self.widths):.3g}" if self.widths else "one-sided"
        missed = f"{self.too_high / self.tried:.1%} / {self.too_low / self.tried:.1%}"
        mark = " **below**" if self.short() else ""
        return (
            self.figure,
            self.world,
            f"{self.nominal:.0%}",
            f"{self.covered / self.tried:.1%} ({low:.1%} to {high:.1%}){mark}",
            missed,
            width,
            str(self.tried),
        )


HEADER = (
    "figure",
    "world",
    "nominal",
    "covered (95%)",
    "truth below / above the interval",
    "mean width",
    "repeats",
)


def count(world: World, repeats: int, seed: int = 0) -> list[Count]:
    """Run a world `repeats` times, each from its own random stream."""
    counts: dict[tuple[str, str], Count] = {}
    for repeat in range(repeats):
        for t in world(np.random.default_rng([seed, repeat])):
            c = counts.setdefault((t.figure, t.world), Count(t.figure, t.world, t.nominal))
            if not t.resolved:
                c.unresolved += 1
                continue
            c.tried += 1
            c.too_high += t.too_high
            c.too_low += t.too_low
            if t.low is not None and t.high is not None:
                c.widths.append(t.high - t.low)
    return list(counts.values())


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Markdown lines."""
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
