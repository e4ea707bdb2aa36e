"""What the shadow models give away themselves, each attacked by the others.

A target is one more model of the pool, so where its shadows exceed a limit, it does not lie within
it by much luck: it was trained otherwise, or its list of members is not what it was trained on. A
few shadow models span too wide an interval for `recipe_match` to see that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memory_assets.attacks.evaluate import rocs
from memory_assets.attacks.registry import Attack
from memory_assets.pool.signals import Signals
from memory_assets.results.estimate import Estimate
from memory_assets.results.metrics import find, rate_of
from memory_assets.statistics.roc import Roc
from memory_assets.validity.verdict import Gate

_MOST_MODELS = 16
"""Shadow models that are attacked; a larger pool resembles its target or shows that it does not."""


@dataclass(frozen=True)
class ShadowLeak:
    """A limit that the shadow models exceed: `value` is their mean by the strongest attack."""

    metric: str
    attack: str
    value: float


def _measured(metric: str, roc: Roc) -> Estimate | None:
    """None for a metric that says nothing of one model alone."""
    if metric == "auc":
        return roc.auc()
    if metric == "balanced_accuracy":
        return roc.balanced_accuracy()
    known, fpr = find(metric), rate_of(metric)
    if known is None or not known.finds_members or fpr is None:
        return None
    return roc.tpr_at_fpr(fpr)


def shadow_leak(attacks: Sequence[Attack], pool: Signals, gate: Gate) -> ShadowLeak | None:
    """The first limit that the shadow models exceed on average, by any attack; None without one."""
    if pool.models < 2:
        return None
    pool = pool.of_models(slice(_MOST_MODELS))
    scored = {
        attack.name: rocs(attack.score(pool, pool, leave_one_out=True), pool.is_in, "shadow")
        for attack in attacks
        if attack.can_leave_one_out(pool)
    }
    for metric, limit in gate.thresholds.items():
        means: dict[str, float] = {}
        for name, each in scored.items():
            found = [e.value for e in (_measured(metric, roc) for roc in each) if e is not None]
            values = [value for value in found if value is not None]
            if values:
                means[name] = float(np.mean(values))
        strongest = max(means, key=means.__getitem__, default=None)
        if strongest is not None and means[strongest] > limit:
            return ShadowLeak(metric, strongest, means[strongest])
    return None
