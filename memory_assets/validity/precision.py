"""Precision: how finely the answers that were audited tell one record from another.

It fails nothing: labels, votes and rounded probabilities are what some models answer. It says what
was lost, since whoever sees more digits than the audit did may find more.
"""

from __future__ import annotations

import numpy as np

from memory_assets.pool.signals import Signals
from memory_assets.results.estimate import Control
from memory_assets.results.findings import finding


def precision(pool: Signals, target: Signals) -> Control:
    """The value is the least probability that is told from 0, where any was cut there."""
    floor = max(float(s.floor.max(initial=0.0)) for s in (pool, target))
    scores = target.pairs.score[0]
    if np.ptp(scores) == 0:
        detail = finding("precision.constant")
    elif floor > 0:
        detail = finding("precision.rounded", floor=floor)
    else:
        detail = finding("precision.whole")
    return Control("precision", True, floor or None, None, None, (detail,))
