"""How long will it take, and how far is it? A trial run before the work, a clock during it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from memory_assets.language.model import Ids, LanguageModel
from memory_assets.language.options import LanguageOptions
from memory_assets.language.signals import Progress, token_signals
from memory_assets.language.windows import Windows
from memory_assets.records.secrets import Manifest

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


def plan_work(
    model: LanguageModel,
    options: LanguageOptions,
    sides: Sequence[Windows],
    probed: Sequence[Windows | None],
    manifest: Manifest | None,
    reference: bool,
) -> dict[str, float]:
    """The work of an audit in tokens, stage by stage; `probed` is read for probes alone."""
    tokens = float(sum(w.sizes.sum() for w in sides))
    per_text = tokens / max(1, sum(len(w.texts) for w in sides))
    plan = {"texts": tokens + sum(w.sizes.sum() for w in probed if w is not None)}
    if "recall" in options.attacks:
        plan["recall"] = tokens * 1.25
    if reference and "reference" in options.attacks:
        plan["reference"] = tokens
    # A step of generation reads the whole model for one token a row: as dear as a few more rows.
    steps = options.prefix + options.suffix
    plan["generation"] = 2.0 * steps * max(options.generated, 16 if options.generated else 0)
    for secret in manifest.secrets if manifest is not None else ():
        # Behind a shared beginning, only what differs is read; proposals are made, then ranked,
        # and candidates are read again where something stands behind the value.
        values = options.references + 2 * options.proposals
        values += options.candidates if secret.suffix else 0
        tried = values * max(1, len(model.encode(secret.value)) - 1)
        plan["secrets"] = plan.get("secrets", 0.0) + tried
    plan["controls"] = min(2.0 * options.control_texts * per_text, tokens)
    return plan


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
        """A callback `(done, total)` for one stage, which begins now."""

        def report(done: int, total: int) -> None:
            total = max(1, total)
            if done >= total:
                self.finished.add(name)
            if self.listener is None:
                return
            rest = sum(w for s, w in self.planned.items() if s not in self.finished)
            here = self.planned.get(name, 0.0) if name not in self.finished else 0.0
            spent = time.perf_counter() - self.started
            past = sum(w for s, w in self.planned.items() if s in self.finished)
            past += here * done / total
            # The clock trusts what it has seen, once it has seen a tenth of the work.
            enough = past > 0.1 * sum(self.planned.values())
            rate = spent / past if enough else self.rate
            left = rate * max(0.0, rest - here * done / total)
            self.listener(Step(name, done, total, left))

        report(0, 1)
        return report


def part(whole: Progress, start: float, share: float) -> Progress:
    """A callback for a piece of work that is `share` of a stage and begins at `start` of it."""

    def report(done: int, total: int) -> None:
        whole(round(1e6 * (start + share * done / max(1, total))), 1_000_000)

    return report


_STAGES = {
    "texts": "reading texts",
    "recall": "reading texts behind a prefix",
    "reference": "asking the reference model",
    "generation": "generating",
    "secrets": "trying secrets",
    "controls": "running the controls",
}


def duration(seconds: float) -> str:
    """Rounded as people say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@dataclass
class Spoken:
    """Tells `say` of an audit in words: the estimate, each new stage, and every few seconds."""

    say: Callable[[str], None]
    every: float = 5.0
    stage: str = ""
    said: float = -math.inf

    def __call__(self, step: Step) -> None:
        now = time.perf_counter()
        if step.stage == "estimate":
            self.say(f"the audit will take about {duration(step.seconds_left)}")
        elif step.stage != self.stage or now - self.said >= self.every:
            self.stage, self.said = step.stage, now
            share = int(100 * step.done / max(1, step.total))
            what = _STAGES.get(step.stage, step.stage)
            self.say(f"{what}: {share}%, about {duration(step.seconds_left)} left")
