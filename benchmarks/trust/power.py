"""What an audit of stated depth can detect, and how often it does.

A depth is a number of shadow models: it decides how strong the attacks are. The records decide how
sure a rate can be. So each leak is stated by what a perfect attack would reach, one that knows
every record's distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from benchmarks.trust.epsilons import released
from benchmarks.trust.pools import answers
from benchmarks.trust.releases import Records
from memory_assets.attacks.evaluate import evaluate
from memory_assets.attacks.registry import select
from memory_assets.config.classifier import DEPTHS
from memory_assets.memorization.per_record import MEMORIZED, score_records
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.signals import Signals
from memory_assets.statistics.intervals import clopper_pearson
from memory_assets.statistics.roc import Roc
from memory_assets.validity.verdict import Gate, decide
from memory_assets.workflows.privacy_loss import measure_epsilon

LEAKS = (0.0, 0.5, 1.0, 1.5)
LIMITS = {"auc": 0.55, "tpr_at_fpr_0.01": 0.02}
"""The gate: twice what guessing reaches at 1% false positives, and an AUC of .55."""


@dataclass(frozen=True)
class Power:
    """Audits of one depth and leak: what a perfect attack reaches, how often a limit failed."""

    depth: str
    pairs: int
    leak: float
    perfect: dict[str, float]
    failed: dict[str, int]
    passed: dict[str, int]
    tried: int


def _perfect(leak: float, large: int = 100_000) -> dict[str, float]:
    """AUC and TPR at 1% FPR of the likelihood ratio of each record's true distributions."""
    rng = np.random.default_rng(17)
    records = Records.draw(rng, large // 2, leak)
    scores = []
    for moved in (records.gain, 0.0):
        margin = moved + records.spread * rng.normal(size=records.gain.shape)
        scores.append((records.gain * (margin - records.gain / 2) / records.spread**2).ravel())
    roc = Roc.of(*scores)
    found = {"auc": roc.auc(), "tpr_at_fpr_0.01": roc.tpr_at_fpr(0.01)}
    return {name: e.value or LIMITS[name] for name, e in found.items()}


def _audit(models: int, pairs: int, leak: float, seed: Sequence[int]) -> tuple[Signals, Signals]:
    rng = np.random.default_rng(list(seed))
    records = Records.draw(rng, pairs, leak)
    pool = records.trained(draw_masks(models, pairs, int(rng.integers(2**31))), rng)
    return pool, records.trained(rng.integers(0, 2, (1, pairs), dtype=np.uint8), rng)


def membership(pairs: int, repeats: int) -> Iterator[Power]:
    """How often the gate fails a leak, by depth."""
    for leak in LEAKS:
        perfect = _perfect(leak) if leak else {"auc": 0.5, "tpr_at_fpr_0.01": 0.01}
        for depth, models in DEPTHS.items():
            failed, passed = dict.fromkeys(LIMITS, 0), dict.fromkeys(LIMITS, 0)
            for repeat in range(repeats):
                pool, target = _audit(models, pairs, leak, (repeat, models, pairs, 1))
                found = evaluate(pool, target, select("standard", models), prior=0.1)
                for result in decide(found.measurements, [], Gate(LIMITS)).results:
                    failed[result.metric] += result.outcome == "fail"
                    passed[result.metric] += result.outcome == "pass"
            yield Power(depth, pairs, leak, perfect, failed, passed, repeats)


def memorization() -> Iterator[tuple[str, float, float]]:
    """(depth, true memorization, chance that a record is called memorized), enumerated exactly.

    The record is answered by every model that trained on it.
    """
    for depth, models in DEPTHS.items():
        half = models // 2
        for mem in (MEMORIZED, 0.5, 0.75, 1.0):
            side = draw_masks(models, half + 1, 0)
            # Pair c: all IN models right, and of the OUT models the first c right.
            is_in = side[..., None] == np.arange(2)
            rank = np.cumsum(~is_in, axis=0) - 1
            correct = is_in | (rank < np.arange(half + 1)[:, None])
            nothing = answers(np.zeros((models, 0), dtype=bool))
            low = score_records(Signals(answers(correct), nothing, side)).low[:, 0]
            chance = binom.pmf(np.arange(half + 1), half, 1 - mem)
            yield depth, mem, float(chance[low > MEMORIZED].sum())


@dataclass(frozen=True)
class Shown:
    """Bounds of audits of a mechanism with `epsilon`: the median, and how many show half of it."""

    pairs: int
    epsilon: float
    median: float
    falsified: int
    tried: int


def epsilon(repeats: int, models: int = 16) -> Iterator[Shown]:
    """How much of a mechanism's epsilon an audit shows; how often it refutes a claim of half."""
    for pairs in (400, 2000):
        for true in (1.0, 2.0, 4.0, 8.0):
            bounds = []
            for repeat in range(repeats):
                rng = np.random.default_rng([repeat, pairs, int(10 * true)])
                side = draw_masks(models + 2, pairs, int(rng.integers(2**31)))
                out = released(side, "randomized response", rng, true)
                margin = rng.normal(1, 1, (pairs, 2)) + 3 * np.stack([-out, out], axis=-1)
                nothing = answers(np.zeros((models + 2, 0), dtype=bool))
                pool, target = (
                    Signals(
                        answers(margin[chosen] > 0, margin[chosen]),
                        answers(nothing.correct[chosen, :, 0]),
                        side[chosen],
                    )
                    for chosen in (slice(0, models), slice(models, models + 1))
                )
                found = evaluate(pool, target, select("standard", models), prior=0.5)
                rows = measure_epsilon(found, target.side[0])
                bounds.append(next(m.estimate.value or 0 for m in rows if m.metric == "epsilon"))
            above = int((np.array(bounds) > true / 2).sum())
            yield Shown(pairs, true, float(np.median(bounds)), above, repeats)


def chance(k: int, n: int) -> str:
    """A rate with its interval, in a few signs."""
    low, high = clopper_pearson(k, n)
    return f"{k / n:.0%} ({low:.0%} to {high:.0%})"
