"""The robust membership inference attack (Zarifzadeh, Liu & Shokri 2024).

A record is compared with records that the target did not train on: its score is the share of these
that it beats by a factor gamma in how much likelier the target finds it than the reference models.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memory_assets.attacks.reference import (
    PROBABILITY_FLOOR,
    Bools,
    Floats,
    blocks,
    empty_scores,
    is_in,
    mean_probability,
)
from memory_assets.pool.signals import Signals

GAMMA = 2.0
OFFLINE_A = 0.3
"""Default of the paper, and fixed: tuned on the target's own membership it would be leakage."""


def share_beaten(x: Floats, z: Floats, gamma: float = GAMMA) -> Floats:
    """Share of the ratios `z` `[Z]` that each ratio `x` `[N]` beats strictly: `x > gamma z`.

    Sorts both: O((N + Z) log(N + Z)), never N x Z. As gamma >= 1, a record that is itself among z
    never beats itself, so being there gives nothing away.

    Args:
        x: ratios of the records, `[N]`.
        z: ratios of records that the target did not train on, `[Z]`.
        gamma: the factor by which a ratio must be beaten, at least 1.

    Returns:
        A share in [0, 1] for each x, `[N]`.

    Raises:
        ValueError: no z, or gamma below 1.

    Examples:
        >>> share_beaten(np.array([1.0, 5.0]), np.array([1.0, 2.0])).tolist()
        [0.0, 1.0]
    """
    if gamma < 1:
        raise ValueError(f"gamma must be at least 1, got {gamma}")
    if z.size == 0:
        raise ValueError("no non-member of the target to compare with")
    order = np.argsort(x)  # a search in order stays in the cache, which more than pays the sort
    shares = np.empty(x.size)
    shares[order] = np.searchsorted(np.sort(gamma * z), x[order], side="left")
    shares /= z.size
    return shares


def online_reference(p: Floats, inside: Bools, leave_one_out: bool) -> Floats:
    """Equal parts of mean IN and mean OUT probability, `[1 or T, b, 2, Q]`.

    Equal by construction, not by counting models: the mean over the others of a balanced pool
    has one model more on the side that the target is not on, and would betray its membership.
    """
    total = mean_probability(p, inside, leave_one_out)
    total += mean_probability(p, ~inside, leave_one_out)
    total /= 2
    return total


def _offline_reference(p: Floats, inside: Bools, leave_one_out: bool) -> Floats:
    """`((1+a) mean OUT + (1-a)) / 2`: what the IN models would add, guessed from the OUT models."""
    out = mean_probability(p, ~inside, leave_one_out)
    return ((1 + OFFLINE_A) * out + (1 - OFFLINE_A)) / 2


def _score(
    pool: Signals,
    targets: Signals,
    leave_one_out: bool,
    block: int,
    reference: Callable[[Floats, Bools, bool], Floats],
) -> Floats:
    scores = np.zeros((*targets.side.shape, 2))
    ratios = empty_scores(targets)
    for q in range(queries := targets.pairs.p_true.shape[-1]):
        for b in blocks(targets.side.shape[1], block):
            p = pool.pairs.p_true[:, b, :, q : q + 1]
            pbar = reference(p, is_in(pool, b), leave_one_out)[..., 0]
            x = np.maximum(targets.pairs.p_true[:, b, :, q], PROBABILITY_FLOOR)
            np.divide(x, pbar, out=ratios[:, b])
        for x, members, score in zip(ratios, targets.is_in, scores, strict=True):
            score += share_beaten(x.ravel(), x[~members]).reshape(x.shape)
    scores /= queries
    return scores


def rmia_online(pool: Signals, targets: Signals, leave_one_out: bool, block: int) -> Floats:
    """`mean_z [(p_x / pbar_x) / (p_z / pbar_z) > 2]`, pbar over IN and OUT; mean over Q.

    Args:
        pool: shadow models, answers `[K, n, 2, Q]`.
        targets: models under audit, answers `[T, n, 2, Q]`; the pool itself under leave-one-out.
        leave_one_out: each target is a model of the pool, left out of what it is held against.
        block: pairs worked off at once; bounds memory, and changes nothing beyond rounding.

    Returns:
        Scores float64 `[T, n, 2]` in [0, 1]; higher = more likely a member.

    Examples:
        >>> from memory_assets.attacks.worked_example import auc, pool_and_target
        >>> pool, target = pool_and_target()
        >>> auc(rmia_online(pool, target, False, 128), target)
        0.89
    """
    return _score(pool, targets, leave_one_out, block, online_reference)


def rmia_offline(pool: Signals, targets: Signals, leave_one_out: bool, block: int) -> Floats:
    """`rmia_online` with pbar from the OUT models alone, corrected by a = 0.3; mean over Q.

    Args:
        pool: shadow models, answers `[K, n, 2, Q]`.
        targets: models under audit, answers `[T, n, 2, Q]`; the pool itself under leave-one-out.
        leave_one_out: each target is a model of the pool, left out of what it is held against.
        block: pairs worked off at once; bounds memory, and changes nothing beyond rounding.

    Returns:
        Scores float64 `[T, n, 2]` in [0, 1]; higher = more likely a member.

    Examples:
        >>> from memory_assets.attacks.worked_example import auc, pool_and_target
        >>> pool, target = pool_and_target()
        >>> auc(rmia_offline(pool, target, False, 128), target)
        0.89
    """
    return _score(pool, targets, leave_one_out, block, _offline_reference)
