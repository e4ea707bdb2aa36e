"""Which side of every pair each shadow model trains on: balanced, seeded and nested."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.results.formulas import MASKS


@MASKS.computes
def draw_masks(models: int, pairs: int, seed: int) -> NDArray[np.uint8]:
    """Draw the sides uint8 `[models, pairs]` that the models of a pool train on.

    Models 2j and 2j+1 are complements of each other: every side of every pair is trained on by
    exactly half of the models, whatever the number of models. Each couple of models has its own
    random stream, so that a pool of 64 begins with the pool of 16 of the same seed.

    Raises:
        InputError: an odd number of models, fewer than two, or no pair.
    """
    if models < 2 or models % 2:
        raise InputError(f"pool.models: {models}; expected an even number, at least 2")
    if pairs < 1:
        raise InputError(f"pool.pairs: {pairs}; expected at least 1 pair of records")
    masks = np.empty((models, pairs), dtype=np.uint8)
    for couple in range(models // 2):
        stream = np.random.default_rng(np.random.SeedSequence([seed, couple]))
        masks[2 * couple] = stream.integers(0, 2, size=pairs, dtype=np.uint8)
        masks[2 * couple + 1] = 1 - masks[2 * couple]
    return masks
