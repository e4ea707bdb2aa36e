"""Order of classes: the model's outputs must stand in the order of the labels' numbers.

Outputs in another order (sorted as text, say) make a good model look like a bad one that remembers
nothing. If renaming its outputs makes clearly more answers right, the order is doubtful. So are the
labels of a model that came as its outputs where its answers have nothing to do with them, even on
the records that it was trained on: labels or ids that lie in another order hide what it remembers
as well, from its shadow models too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from memory_assets.results.estimate import Control
from memory_assets.results.findings import Finding, finding
from memory_assets.validity.scoring import FAMILY_LEVEL, right_more_often

_MOST_CLASSES = 1_000
_PERMUTED = 1_000
"""Orders of the labels that a model's own records are compared with."""


def _unrelated(
    predicted: NDArray[np.integer], labels: NDArray[np.integer], rng: np.random.Generator
) -> Finding | None:
    """What is found where as many answers are right by permuted labels; None where fewer are.

    A model that answers always the same says nothing about labels, and is left to other controls.
    """
    if len(labels) < 2 or np.ptp(predicted) == 0:
        return None
    own = int((predicted == labels).sum())
    chance = [int((predicted == rng.permutation(labels)).sum()) for _ in range(_PERMUTED)]
    if (1 + sum(k >= own for k in chance)) / (1 + _PERMUTED) <= FAMILY_LEVEL:
        return None
    told = own / len(labels), float(np.mean(chance)) / len(labels)
    return finding("class_order.unrelated", accuracy=told[0], chance=told[1])


def class_order(
    predicted: NDArray[np.integer],
    labels: NDArray[np.integer],
    classes: int,
    seed: int,
    own: NDArray[np.int64] | None = None,
) -> Control:
    """No other naming of the outputs may make more of the answers right, nor so by chance.

    The best naming is found on a random half of the records `[R]` and judged on the other; it must
    also beat the commonest label there, or it shows nothing but that. The value is the accuracy.
    `own` are the rows that the model was trained on, where nothing else compares its answers with
    these labels: it must answer them better than permuted ones.
    """
    right = predicted == labels
    accuracy = float(right.mean())
    passed = Control("class_order", True, accuracy, None, None, (finding("class_order.passed"),))
    if own is not None:
        rng = np.random.default_rng([seed, 0x1AB])
        if detail := _unrelated(predicted[own], labels[own], rng):
            passed = Control("class_order", False, accuracy, None, None, (detail,))
    if classes > _MOST_CLASSES or len(labels) < 4:
        return passed
    order = np.random.default_rng([seed, 0xC1A]).permutation(len(labels))
    learn, judge = order[: len(order) // 2], order[len(order) // 2 :]
    table = np.zeros((classes, classes))
    np.add.at(table, (predicted[learn], labels[learn]), 1)
    name = linear_sum_assignment(-table)[1]
    renamed = name[predicted[judge]] == labels[judge]
    common = labels[judge] == np.bincount(labels[learn]).argmax()
    level = FAMILY_LEVEL / 2
    if not all(right_more_often(renamed, other, level) for other in (right[judge], common)):
        return passed
    told = {"accuracy": accuracy, "renamed": float(renamed.mean())}
    detail = finding("class_order.failed", **told)
    return Control("class_order", False, accuracy, None, None, (detail,))
