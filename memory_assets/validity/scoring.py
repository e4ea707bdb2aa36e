"""Attacks as the controls call them, and an AUC that knows which records are pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from memory_assets.pool.signals import Signals
from memory_assets.results.estimate import Estimate
from memory_assets.statistics.intervals import CONFIDENCE, clopper_pearson

FAMILY_LEVEL = 0.01
"""How often a valid audit may fail one control by chance, over all attacks together."""


class Score(Protocol):
    """An attack: scores float64 `[T, n, 2]` of the targets' records, higher = member."""

    def __call__(
        self, pool: Signals, targets: Signals, *, leave_one_out: bool = False
    ) -> NDArray[np.float64]: ...


Attacks = Mapping[str, Score]


def paired_auc(
    members: ArrayLike, non_members: ArrayLike, confidence: float = CONFIDENCE
) -> Estimate:
    """AUC of n pairs, each one member and one non-member, with an interval over pairs.

    Obuchowski (1997), clustered DeLong. The two records of a pair are not independent where the
    model under test trained on exactly one of them, whatever its label here: DeLong's interval
    would be too short by up to the square root of 2.

    Raises:
        ValueError: sides of unequal length, no pair, or a score that is not finite.
    """
    x, z = np.asarray(members, np.float64), np.asarray(non_members, np.float64)
    if x.ndim != 1 or x.shape != z.shape or x.size == 0:
        raise ValueError(f"a paired AUC needs pairs, got sides of shape {x.shape} and {z.shape}")
    if not (np.isfinite(x).all() and np.isfinite(z).all()):
        raise ValueError("a paired AUC needs finite scores")
    n = x.size
    ranks = scipy.stats.rankdata(np.concatenate([x, z]))
    won = (ranks[:n] - scipy.stats.rankdata(x)) / n
    kept = 1 - (ranks[n:] - scipy.stats.rankdata(z)) / n
    auc, by_pair = float(won.mean()), won + kept
    if n > 1 and np.ptp(by_pair) > 1e-12:
        half = float(scipy.stats.t.ppf((1 + confidence) / 2, n - 1) * scipy.stats.sem(by_pair))
        return Estimate(auc, max(auc - half, 0.0), min(auc + half, 1.0), n=n)
    unseen = clopper_pearson(0, n, confidence)[1]
    return Estimate(auc, auc - unseen * auc, auc + unseen * (1 - auc), n=n)


def right_more_often(one: NDArray[np.bool_], other: NDArray[np.bool_], level: float) -> bool:
    """Whether `one` is right more often than `other`, answer by answer: a one-sided sign test."""
    only, either = int((one & ~other).sum()), int((one != other).sum())
    return bool(either) and float(scipy.stats.binom.sf(only - 1, either, 0.5)) <= level


def attack_aucs(
    attacks: Attacks, pool: Signals, target: Signals, confidence: float
) -> dict[str, Estimate]:
    """The paired AUC of every attack on the one model of `target`, by its sides."""
    if not attacks:
        raise ValueError("a control needs at least one attack")
    if target.models != 1:
        raise ValueError(f"a control takes one target, got {target.models}")
    side = target.side[0].astype(np.int64)
    pairs = np.arange(len(side))
    found = {}
    for name, score in attacks.items():
        scores = score(pool, target)[0]
        found[name] = paired_auc(scores[pairs, side], scores[pairs, 1 - side], confidence)
    return found


def percent(share: float) -> str:
    """A share as a percentage for a sentence, with as many digits as it needs."""
    return f"{100 * share:.3g}%"
