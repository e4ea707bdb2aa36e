"""Models come in couples that train on opposite sides: the independent units of a pool.

`draw_masks` makes model 2j + 1 the complement of model 2j. What one has learned from a record the
other lacks, so that two models of a couple are *not* independent; two couples are. Every interval
and every null in this package therefore counts couples, and a null is drawn as the design draws
its masks: by a fair coin for every couple and pair.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memory_assets.pool.signals import Signals


def has_couples(side: NDArray[np.uint8]) -> bool:
    """Whether models 2j and 2j + 1 train on opposite sides of every pair; `side` `[K, n]`."""
    return len(side) % 2 == 0 and bool((side[0::2] != side[1::2]).all())


def couple_signs(signals: Signals) -> NDArray[np.float32]:
    """`[K/2, n]`: +1 where model 2j trained on side 0 of the pair, -1 where on side 1.

    Raises:
        ValueError: the models do not come in couples, or the pool has no pair, or a record has
            fewer than two IN or OUT models.
    """
    check_sides(signals)
    if not has_couples(signals.side):
        raise ValueError(
            f"influence and generalization gap need models in couples that train on opposite "
            f"sides of every pair, as draw_masks makes them; these {signals.models} models do not"
        )
    return 1.0 - 2.0 * signals.side[0::2].astype(np.float32)


def shuffled(side: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Masks `[K, n]` drawn anew by the design of `side`: what memorization cannot have followed.

    Couples stay couples and each of their pairs is flipped by a fair coin. Masks of another design
    are permuted down the models, for each pair by itself, which keeps the models of each side.
    """
    if has_couples(side):
        flips = rng.integers(0, 2, (len(side) // 2, side.shape[1]), dtype=np.uint8)
        return side ^ flips.repeat(2, axis=0)
    return rng.permuted(side, axis=0)


def check_sides(signals: Signals) -> None:
    """Refuse a pool in which a record lacks two IN or two OUT models.

    Raises:
        ValueError: no pair, or too few models on a side; the first such record by position.
    """
    models, pairs = signals.side.shape
    if pairs < 1:
        raise ValueError("the signals hold no pair of records; nothing can be measured on them")
    second = signals.side.sum(axis=0, dtype=np.int64)
    few = np.minimum(second, models - second)
    if few.min() < 2:
        raise ValueError(
            f"pair {int(few.argmin())} is seen from one side by only {int(few.min())} of "
            f"{models} models; memorization needs at least 2 IN and 2 OUT models for every record"
        )
