"""Why a target does not look like its shadows: the likeliest cause, by what each would leave.

| cause | members' margins | non-members' margins | what tells it |
|---|---|---|---|
| classes in another order | low | low | accuracy returns when predicted classes are renamed |
| other preprocessing or data | low | low | not even its own members are answered right |
| members and non-members exchanged | low | high | the gap between the two is turned round |
| list of other records | low | as they are, or high | the gap is smaller, by the members |
| non-members trained on | as they are, or high | high | the gap is smaller, by these |
| another recipe | both move alike | | none of the above |

A mixture of causes is named by the first that fits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from memory_assets.pool.signals import Signals
from memory_assets.results.findings import Finding, finding
from memory_assets.validity.resemblance import Margins, Statistic, member_accuracy, unseen

_TURNED = 1.5
"""Exchanged sides take twice the gap away, a list without a true member once."""
_MOST_CLASSES = 2_000
_FEWEST = 20


def _labels(pool: Signals) -> NDArray[np.int64]:
    """The label of every record of the pairs `[2n]`, read off a model that is right; -1 if none."""
    correct = pool.pairs.correct[..., 0] == 1
    right = correct.argmax(axis=0)[None]
    said = np.take_along_axis(pool.pairs.label_pred[..., 0], right, axis=0)[0]
    return np.where(correct.any(axis=0), said, -1).ravel().astype(np.int64)


def renamed_accuracy(pool: Signals, target: Signals) -> float | None:
    """Accuracy on the pairs if the target's classes are renamed as fits best (assignment problem).

    None where no label is known, as for texts, or there are too many classes.
    """
    labels, said = _labels(pool), target.pairs.label_pred[0, ..., 0].ravel().astype(np.int64)
    known = (labels >= 0) & (said >= 0)
    if known.sum() < _FEWEST:
        return None
    labels, said = labels[known], said[known]
    classes = int(max(labels.max(), said.max())) + 1
    if classes > _MOST_CLASSES:
        return None
    table = np.zeros((classes, classes))
    np.add.at(table, (said, labels), 1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum() / len(labels))


def _accuracy(target: Signals) -> float:
    return float((target.pairs.correct[0, ..., 0] == 1).mean())


def likely_cause(
    pool: Signals,
    target: Signals,
    look: Margins | None,
    found: Mapping[str, Statistic],
    level: float,
) -> Finding:
    """A sentence on what most likely is wrong, and the one thing to do."""
    sides = {name: each.side(level) for name, each in found.items()}
    if sides["accuracy"] < 0:
        renamed = renamed_accuracy(pool, target)
        shadows, _, _ = unseen(pool)
        usual = float(shadows.mean())
        if renamed is not None and renamed >= (usual + _accuracy(target)) / 2:
            return finding("cause.classes")
        if float(member_accuracy(target)[0]) < usual:
            return finding("cause.preprocessing")
    if look is None or sides.get("gap", 0) >= 0 or look.gap <= 0:
        return _recipe(sides)
    missing = float(look.inside[:-1].mean() - look.inside[-1]) / look.gap
    more = float(look.outside[-1] - look.outside[:-1].mean()) / look.gap
    if missing + more >= _TURNED:
        return finding("cause.swapped")
    if more > 0:
        return finding("cause.list" if missing > more / 2 else "cause.contaminated")
    unseen_fit = not any(sides[name] for name in ("accuracy", "loss", "non_members"))
    return finding("cause.list") if unseen_fit else _recipe(sides)


def _recipe(sides: Mapping[str, int]) -> Finding:
    members = sides.get("members", 0)
    more = members > 0 or (members == 0 and sides["loss"] < 0)
    return finding("cause.recipe_more" if more else "cause.recipe")
