"""Rates of an attack's scores: two worlds in closed form, and one through shadow models.

A threshold at an empirical FPR is judged twice: against the TPR that this very threshold has in the
population, and against the population's TPR at the nominal FPR, as a reader may take it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
from scipy.stats import norm

from benchmarks.attacks import gaussian_signals
from benchmarks.trust.trials import Trial, trial
from memory_assets.attacks.agreement import agreement
from memory_assets.attacks.evaluate import evaluate
from memory_assets.attacks.registry import select
from memory_assets.results.estimate import Measurement
from memory_assets.statistics.roc import Roc, Threshold
from memory_assets.statistics.summary import NOMINAL_FPR, shadow_threshold, summarize
from memory_assets.validity.scoring import paired_auc

N = 700
PRIOR = 0.1
SHIFTS = {"every member a little (AUC .64)": (0.5, 1.0), "5% of members fully": (4.0, 0.05)}
"""How far a member's score is shifted, and the share of members that are."""


class Population:
    """Where scores come from: the TPR and FPR of a threshold, and the AUC."""

    def __init__(self, members: np.ndarray, non_members: np.ndarray) -> None:
        self.roc = Roc.of(members, non_members)

    def rates(self, cut: float) -> tuple[float, float]:
        hits, alarms = self.roc.counts(cut)
        return float(hits) / self.roc.members.size, float(alarms) / self.roc.non_members.size

    def cut(self, fpr: float) -> float:
        return self.roc.threshold(fpr).value

    @property
    def auc(self) -> float:
        return self.roc.auc().value or 0.0


class Shifted(Population):
    """The same in closed form: standard normal scores, `share` of the members shifted."""

    def __init__(self, shift: float, share: float) -> None:
        self.shift, self.share = shift, share

    def rates(self, cut: float) -> tuple[float, float]:
        false = float(norm.sf(cut))
        return self.share * float(norm.sf(cut - self.shift)) + (1 - self.share) * false, false

    def cut(self, fpr: float) -> float:
        return float(norm.isf(fpr))

    @property
    def auc(self) -> float:
        return self.share * float(norm.cdf(self.shift / 2**0.5)) + (1 - self.share) / 2

    def draw(self, rng: np.random.Generator, n: int) -> Roc:
        moved = self.shift * (rng.random(n) < self.share)
        return Roc.of(rng.normal(size=n) + moved, rng.normal(size=n))


def _ppv(tpr: float, fpr: float) -> float:
    return PRIOR * tpr / (PRIOR * tpr + (1 - PRIOR) * fpr)


def judged(
    found: Iterable[Measurement],
    roc: Roc,
    thresholds: dict[float, Threshold | None],
    truth: Population,
    world: str,
) -> Iterator[Trial]:
    """Every measurement that `summarize` makes, against its truth."""
    by = {m.metric: m.estimate for m in found}
    yield trial("auc", world, by["auc"], truth.auc)
    # The rows of the two halves are judged at each other's threshold: the truth is their mean.
    halves = [truth.rates(half._best_split()) for half in roc.halves()]
    balanced = float(np.mean([(t + 1 - f) / 2 for t, f in halves]))
    yield trial("balanced_accuracy", world, by["balanced_accuracy"], balanced)
    for a in NOMINAL_FPR:
        e = by[f"tpr_at_fpr_{a:g}"]
        if e.value is not None:
            own = truth.rates(roc.threshold(a).value)[0]
            yield trial(f"tpr_at_fpr_{a:g}, of its threshold", world, e, own)
            population = truth.rates(truth.cut(a))[0]
            yield trial(f"tpr_at_fpr_{a:g}, of the population", world, e, population)
        cut = thresholds.get(a)
        if cut is not None:
            tpr, fpr = truth.rates(cut.value)
            yield trial(
                f"tpr_at_shadow_threshold_{a:g}", world, by[f"tpr_at_shadow_threshold_{a:g}"], tpr
            )
            yield trial(
                f"fpr_at_shadow_threshold_{a:g}", world, by[f"fpr_at_shadow_threshold_{a:g}"], fpr
            )
            yield trial(
                f"ppv_at_shadow_threshold_{a:g}",
                world,
                by[f"ppv_at_shadow_threshold_{a:g}"],
                _ppv(tpr, fpr),
            )


def closed_form(rng: np.random.Generator, n: int = N) -> Iterator[Trial]:
    """Scores of known distribution, thresholds from 16 shadows."""
    for name, (shift, share) in SHIFTS.items():
        truth = Shifted(shift, share)
        shadows = [truth.draw(rng, n) for _ in range(16)]
        thresholds = {a: shadow_threshold(shadows, a) for a in NOMINAL_FPR}
        roc = truth.draw(rng, n)
        found = summarize(roc, "simulated", 1, thresholds=thresholds, prior=PRIOR)
        yield from judged(found, roc, thresholds, truth, f"{name}, n = {n:,}")


def overlap(rng: np.random.Generator) -> Iterator[Trial]:
    """Two attacks that flag the same members more often than not."""
    kind = rng.choice(4, size=N, p=[0.04, 0.02, 0.02, 0.92])
    flags = {"a": (kind == 0) | (kind == 1), "b": (kind == 0) | (kind == 2)}
    (row,) = agreement(flags)
    yield trial("jaccard_of_exposed", f"two attacks, {N} members", row.estimate, 0.5)


def opposed_pairs(rng: np.random.Generator) -> Iterator[Trial]:
    """A model that trained on one record of every pair, asked by other labels (a control's AUC)."""
    for leak in (0.0, 6.0):
        asked, trained = rng.integers(0, 2, (2, 200))
        score = rng.normal(size=(200, 2)) + leak * (trained[:, None] == np.arange(2))
        pairs = np.arange(200)
        found = paired_auc(score[pairs, asked], score[pairs, 1 - asked])
        yield trial("AUC of a control", f"pairs that oppose each other, leak {leak:g}", found, 0.5)


MODELS, PAIRS = 16, 300
WANTED = ("lira_online_fixed", "base", "bavaria")
"""RMIA's score depends on who else was drawn, so that no population of its scores exists."""


@cache
def _populations() -> dict[str, Population]:
    """What the attacks' scores are over 20,000 pairs, from as many shadow models."""
    signals = gaussian_signals(MODELS + 2, 20_000, seed=99)
    pool = signals.of_models(slice(MODELS))
    target = signals.of_models(slice(MODELS, MODELS + 1))
    found = evaluate(pool, target, select(WANTED, MODELS), prior=PRIOR)
    return {r.attack.name: Population(r.roc.members, r.roc.non_members) for r in found.results}


def shadow_models(rng: np.random.Generator) -> Iterator[Trial]:
    """Attacks that learn from shadow models in couples, whose answers all records share."""
    signals = gaussian_signals(MODELS + 2, PAIRS, seed=int(rng.integers(2**31)))
    pool = signals.of_models(slice(MODELS))
    target = signals.of_models(slice(MODELS, MODELS + 1))
    found = evaluate(pool, target, select(WANTED, MODELS), prior=PRIOR)
    for r in found.results:
        world = f"`{r.attack.name}`, {MODELS} shadow models, {PAIRS} pairs"
        truth = _populations()[r.attack.name]
        yield from judged(r.measurements, r.roc, r.thresholds, truth, world)
