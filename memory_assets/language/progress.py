"""How long will it take, and how far is it? A trial run before the work, a clock during it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from memory_assets.language.model import Ids, LanguageModel
from memory_assets.language.signals import Progress, token_signals

_TRIAL_TOKENS = 2048


@dataclass(frozen=True)
class Step:
    """`done` of `total` units of one stage, and the seconds that the whole audit still needs."""

    stage: str
    done: int
    total: int
    seconds_left: float


Report = Callable[[Step], None]


def seconds_per_token(model: LanguageModel, sequences: Sequence[Ids]) -> float:
    """Seconds of one pass by token, from a trial on typical sequences (the first warms up)."""
    lengths = np.array([len(ids) for ids in sequences])
    order = np.argsort(lengths, kind="stable")
    typical = order[np.linspace(0, len(order) - 1, min(len(order), 32)).astype(int)]
    rows: list[Ids] = []
    for i in np.random.default_rng(0).permutation(typical):
        rows.append(sequences[i])
        if sum(len(ids) for ids in rows) >= _TRIAL_TOKENS:
            break
    token_signals(model, rows[:1])
    started = time.perf_counter()
    token_signals(model, rows)
    return (time.perf_counter() - started) / sum(len(ids) for ids in rows)


@dataclass
class Clock:
    """Tells a listener about each stage. `planned` is the work in tokens, stage by stage."""

    planned: dict[str, float]
    rate: float
    listener: Report | None = None
    started: float = field(default_factory=time.perf_counter)
    finished: set[str] = field(default_factory=set)

    @property
    def estimate(self) -> float:
        """Seconds that the whole work was estimated to take."""
        return self.rate * sum(self.planned.values())

    def stage(self, name: str) -> Progress:
        """A callback `(done, total)` for one stage."""

        def report(done: int, total: int) -> None:
            if done >= total:
                self.finished.add(name)
            if self.listener is None:
                return
            rest = sum(w for s, w in self.planned.items() if s not in self.finished)
            here = self.planned.get(name, 0.0) if name not in self.finished else 0.0
            spent = time.perf_counter() - self.started
            past = sum(w for s, w in self.planned.items() if s in self.finished)
            past += here * done / max(1, total)
            # The clock trusts what it has seen, once it has seen a tenth of the work.
            enough = past > 0.1 * sum(self.planned.values())
            rate = spent / past if enough else self.rate
            left = rate * max(0.0, rest - here * done / max(1, total))
            self.listener(Step(name, done, total, left))

        return report
