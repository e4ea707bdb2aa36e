"""Attacks on the loss: plain, and calibrated by how hard the record is."""

from __future__ import annotations

from memory_assets.attacks.reference import Floats, blocks, empty_scores, is_in, moments
from memory_assets.pool.signals import Signals


def loss(pool: Signals, targets: Signals, leave_one_out: bool, block: int) -> Floats:  # noqa: ARG001
    """`-loss` (Yeom et al. 2018): members are fitted better. Reads no shadow model.

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
        >>> auc(loss(pool, target, False, 128), target)
        0.84
    """
    return -targets.pairs.loss.mean(axis=-1)


def calibrated_loss(pool: Signals, targets: Signals, leave_one_out: bool, block: int) -> Floats:
    """`-(loss - mean OUT loss)` (Watson et al. 2022): better than a model that never saw it.

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
        >>> auc(calibrated_loss(pool, target, False, 128), target)
        0.85
    """
    scores = empty_scores(targets)
    for b in blocks(targets.side.shape[1], block):
        out = moments(pool.pairs.loss[:, b], ~is_in(pool, b), leave_one_out)
        scores[:, b] = (out.mean - targets.pairs.loss[:, b]).mean(axis=-1)
    return scores
