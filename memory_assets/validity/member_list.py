"""List of members: a model answers what it was trained on at least as well as anything else.

Where it clearly does better on the records that the list leaves out, or an attack points at these,
the list is the wrong way round, or belongs to another model; what attacks find by it says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from memory_assets.pool.signals import Signals
from memory_assets.results.estimate import Control, Estimate, number
from memory_assets.results.findings import finding
from memory_assets.statistics.roc import Roc
from memory_assets.validity.scoring import (
    FAMILY_LEVEL,
    Attacks,
    attack_aucs,
    right_more_often,
)


def _right(target: Signals) -> tuple[np.ndarray, np.ndarray]:
    """Which members and which other records of the pairs are answered right, bool `[n]` each."""
    side, pairs = target.side[0].astype(np.int64), np.arange(target.side.shape[1])
    correct = target.pairs.correct[0, ..., 0]
    return correct[pairs, side], correct[pairs, 1 - side]


def member_list_of_texts(scores: Mapping[str, Roc]) -> Control:
    """The same of a language model: the AUC of its loss must not lie below 0.5 as a whole.

    `scores` are the texts' scores by name; where the loss is not among them, all of them are held
    to it, together at FAMILY_LEVEL. Without any nothing contradicts the list.
    """
    asked = {"loss": scores["loss"]} if "loss" in scores else scores
    level = FAMILY_LEVEL / max(len(asked), 1)
    found = {name: roc.auc(1 - level) for name, roc in asked.items()}
    if not found:
        return Control("member_list", True, None, None, None, (finding("member_list.passed"),))
    return _pointed(found)


def _pointed(found: Mapping[str, Estimate]) -> Control:
    """Whether an attack points at what the list leaves out."""
    name, least = min(found.items(), key=lambda item: number(item[1].ci_high))
    low, high, value = (number(x) for x in (least.ci_low, least.ci_high, least.value))
    detail = finding("member_list.passed")
    if high < 0.5:
        detail = finding("member_list.attack", attack=name, value=value, low=low, high=high)
    return Control("member_list", high >= 0.5, value, low, high, (detail,))


def member_list(attacks: Attacks, pool: Signals, target: Signals) -> Control:
    """No AUC interval may lie below 0.5 as a whole, and other records not be answered better.

    All tests together are wrong about a right list in at most FAMILY_LEVEL of audits. The value is
    the AUC that is farthest below 0.5.

    Raises:
        ValueError: no attack, no pair, more than one target, or what an attack refuses.
    """
    level = FAMILY_LEVEL / (len(attacks) + 1)
    pointed = _pointed(attack_aucs(attacks, pool, target, 1 - level))
    members, others = _right(target)
    if not pointed.passed or not right_more_often(others, members, level / 2):
        return pointed
    shares = float(members.mean()), float(others.mean())
    detail = finding("member_list.accuracy", members=shares[0], others=shares[1])
    return replace(pointed, passed=False, findings=(detail,))
