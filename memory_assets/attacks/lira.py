"""The likelihood-ratio attack (Carlini et al. 2022, "Membership inference from first principles").

Four forms, each with its own name. Online compares the Gaussian of the IN models with that of the
OUT models; offline asks how far the target stands above the OUT models alone. The plain forms
estimate a variance for each record; the fixed forms keep each record's means but pool the residual
variance of a side over all records, which is steadier below 64 models.

The paper divides by n (numpy's default); here a variance divides by n - 1, so that few models do
not look surer than they are.
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr

from memory_assets.attacks.reference import (
    VARIANCE_FLOOR,
    Floats,
    Moments,
    blocks,
    both_sides,
    empty_scores,
    is_in,
    moments,
)
from memory_assets.pool.signals import Signals


def _log_density(x: Floats, mean: Floats, variance: Floats) -> Floats:
    """log N(x; mean, variance) without its constant, which cancels in a ratio."""
    off = x - mean
    off *= off
    off /= variance
    off += np.log(variance)
    off *= -0.5
    return off


def _pooled_variance(pool: Signals, in_side: bool, leave_one_out: bool, block: int) -> Floats:
    """Residual variance of one side over all records, `[1 or T, 1, 1, Q]`.

    The sum of squares about each record's own mean over the sum of its degrees of freedom.
    """
    squares: Floats | float = 0.0
    freedom: Floats | float = 0.0
    for b in blocks(pool.side.shape[1], block):
        side = moments(pool.pairs.score[:, b], is_in(pool, b) == in_side, leave_one_out)
        squares = squares + side.squares.sum(axis=(1, 2), keepdims=True)
        freedom = freedom + np.maximum(side.count - 1, 0).sum(axis=(1, 2), keepdims=True)
    if np.min(freedom) < 1:
        raise ValueError("no record has two models of one side to tell their spread from")
    return np.maximum(squares / freedom, VARIANCE_FLOOR)


def _online(
    target: Floats, inside: Moments, outside: Moments, v_in: Floats, v_out: Floats
) -> Floats:
    ratio = _log_density(target, inside.mean, v_in)
    ratio -= _log_density(target, outside.mean, v_out)
    return ratio.mean(axis=-1)


def lira_online(pool: Signals, targets: Signals, leave_one_out: bool, block: int) -> Floats:
    """`log N(phi; mu_in, s_in) - log N(phi; mu_out, s_out)`, phi the logit margin; mean over Q.

    Args:
        pool: shadow models, answers `[K, n, 2, Q]`.
        targets: models under audit, answers `[T, n, 2, Q]`; the pool itself under leave-one-out.
        leave_one_out: each target is a model of the pool, left out of what it is held against.
        block: pairs worked off at once; bounds memory, and changes nothing beyond rounding.

    Returns:
        Scores float64 `[T, n, 2]` in nats; higher = more likely a member.

    Examples:
        >>> from memory_assets.attacks.worked_example import auc, pool_and_target
        >>> pool, target = pool_and_target()
        >>> auc(lira_online(pool, target, False, 128), target)
        0.89
    """
    scores = empty_scores(targets)
    for b in blocks(targets.side.shape[1], block):
        inside, outside = both_sides(pool.pairs.score[:, b], is_in(pool, b), leave_one_out)
        target = targets.pairs.score[:, b]
        scores[:, b] = _online(target, inside, outside, inside.variance, outside.variance)
    return scores


def lira_online_fixed(pool: Signals, targets: Signals, leave_one_out: bool, block: int) -> Floats:
    """`lira_online` with one residual variance a side, pooled over records.

    Args:
        pool: shadow models, answers `[K, n, 2, Q]`.
        targets: models under audit, answers `[T, n, 2, Q]`; the pool itself under leave-one-out.
        leave_one_out: each target is a model of the pool, left out of what it is held against.
        block: pairs worked off at once; bounds memory, and changes nothing beyond rounding.

    Returns:
        Scores float64 `[T, n, 2]` in nats; higher = more likely a member.

    Examples:
        >>> from memory_assets.attacks.worked_example import auc, pool_and_target
        >>> pool, target = pool_and_target()
        >>> auc(lira_online_fixed(pool, target, False, 128), target)
        0.91
    """
    v_in = _pooled_variance(pool, True, leave_one_out, block)
    v_out = _pooled_variance(pool, False, leave_one_out, block)
    scores = empty_scores(targets)
    for b in blocks(targets.side.shape[1], block):
        inside, outside = both_sides(pool.pairs.score[:, b], is_in(pool, b), leave_one_out)
        scores[:, b] = _online(targets.pairs.score[:, b], inside, outside, v_in, v_out)
    return scores


def lira_offline(pool: Signals, targets: Signals, leave_one_out: bool, block: int) -> Floats:
    """`log Phi((phi - mu_out) / s_out)`, one-sided (equation 4); mean over Q.

    A two-sided density would call a record a member because its margin is unusually *low*.

    Args:
        pool: shadow models, answers `[K, n, 2, Q]`.
        targets: models under audit, answers `[T, n, 2, Q]`; the pool itself under leave-one-out.
        leave_one_out: each target is a model of the pool, left out of what it is held against.
        block: pairs worked off at once; bounds memory, and changes nothing beyond rounding.

    Returns:
        Scores float64 `[T, n, 2]` in nats; higher = more likely a member.

    Examples:
        >>> from memory_assets.attacks.worked_example import auc, pool_and_target
        >>> pool, target = pool_and_target()
        >>> auc(lira_offline(pool, target, False, 128), target)
        0.88
    """
    scores = empty_scores(targets)
    for b in blocks(targets.side.shape[1], block):
        out = moments(pool.pairs.score[:, b], ~is_in(pool, b), leave_one_out)
        z = (targets.pairs.score[:, b] - out.mean) / np.sqrt(out.variance)
        scores[:, b] = log_ndtr(z).mean(axis=-1)
    return scores


def lira_offline_fixed(pool: Signals, targets: Signals, leave_one_out: bool, block: int) -> Floats:
    """`lira_offline` with one residual variance of the OUT side, pooled over records.

    Args:
        pool: shadow models, answers `[K, n, 2, Q]`.
        targets: models under audit, answers `[T, n, 2, Q]`; the pool itself under leave-one-out.
        leave_one_out: each target is a model of the pool, left out of what it is held against.
        block: pairs worked off at once; bounds memory, and changes nothing beyond rounding.

    Returns:
        Scores float64 `[T, n, 2]` in nats; higher = more likely a member.

    Examples:
        >>> from memory_assets.attacks.worked_example import auc, pool_and_target
        >>> pool, target = pool_and_target()
        >>> auc(lira_offline_fixed(pool, target, False, 128), target)
        0.9
    """
    spread = np.sqrt(_pooled_variance(pool, False, leave_one_out, block))
    scores = empty_scores(targets)
    for b in blocks(targets.side.shape[1], block):
        out = moments(pool.pairs.score[:, b], ~is_in(pool, b), leave_one_out)
        scores[:, b] = log_ndtr((targets.pairs.score[:, b] - out.mean) / spread).mean(axis=-1)
    return scores
