"""Order of classes: the model's outputs must stand in the order of the labels' numbers.

Outputs in another order (sorted as text, say) make a good model look like a bad one that remembers
nothing. If renaming its outputs makes clearly more answers right, the order is doubtful.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from memory_assets.controls.scoring import FAMILY_LEVEL, percent, right_more_often
from memory_assets.sentences import say
from memory_assets.statistics.estimate import Control

_MOST_CLASSES = 1_000


def class_order(
    predicted: NDArray[np.integer], labels: NDArray[np.integer], classes: int, seed: int
) -> Control:
    """No other naming of the outputs may make more of the answers right, nor so by chance.

    The best naming is found on a random half of the records `[R]` and judged on the other; it must
    also beat the commonest label there, or it shows nothing but that. The value is the accuracy.
    """
    right = predicted == labels
    accuracy = float(right.mean())
    passed = Control("class_order", True, accuracy, None, None, say("class_order.passed"))
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
    told = {"accuracy": percent(accuracy), "renamed": percent(float(renamed.mean()))}
    detail = say("class_order.failed", **told)
    return Control("class_order", False, accuracy, None, None, detail)
