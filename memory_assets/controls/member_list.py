"""List of members: a model answers what it was trained on at least as well as anything else.

Where it clearly does better on the records that the list leaves out, or an attack points at these,
the list is the wrong way round, or belongs to another model; what attacks find by it says nothing.
"""

from __future__ import annotations

import numpy as np

from memory_assets.controls.scoring import (
    FAMILY_LEVEL,
    Attacks,
    attack_aucs,
    percent,
    right_more_often,
)
from memory_assets.pool.signals import Signals
from memory_assets.sentences import say
from memory_assets.statistics.estimate import Control, number


def _right(target: Signals) -> tuple[np.ndarray, np.ndarray]:
    """Which members and which other records of the pairs are answered right, bool `[n]` each."""
    side, pairs = target.side[0].astype(np.int64), np.arange(target.side.shape[1])
    correct = target.pairs.correct[0, ..., 0]
    return correct[pairs, side], correct[pairs, 1 - side]


def member_list(attacks: Attacks, pool: Signals, target: Signals) -> Control:
    """No AUC interval may lie below 0.5 as a whole, and other records not be answered better.

    All tests together are wrong about a right list in at most FAMILY_LEVEL of audits. The value is
    the AUC that is farthest below 0.5.

    Raises:
        ValueError: no attack, no pair, more than one target, or what an attack refuses.
    """
    level = FAMILY_LEVEL / (len(attacks) + 1)
    found = attack_aucs(attacks, pool, target, 1 - level)
    name, least = min(found.items(), key=lambda item: number(item[1].ci_high))
    low, high, value = (number(x) for x in (least.ci_low, least.ci_high, least.value))
    members, others = _right(target)
    better = right_more_often(others, members, level / 2)
    if high < 0.5:
        told = {"attack": name, "value": value, "low": low, "high": high}
        detail = say("member_list.attack", **told)
    elif better:
        shares = percent(float(members.mean())), percent(float(others.mean()))
        detail = say("member_list.accuracy", members=shares[0], others=shares[1])
    else:
        detail = say("member_list.passed")
    return Control("member_list", high >= 0.5 and not better, value, low, high, detail)
