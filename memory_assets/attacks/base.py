"""BASE (Lassila et al. 2025): the loss against the log-mean likelihood of the reference models."""

from __future__ import annotations

import numpy as np

from memory_assets.attacks.reference import Floats, blocks, empty_scores, is_in
from memory_assets.attacks.rmia import online_reference
from memory_assets.pool.signals import Signals


def base(pool: Signals, targets: Signals, leave_one_out: bool, block: int) -> Floats:
    """`-loss - log mean_k exp(-loss_k)`; mean over Q.

    IN and OUT models weigh the same in the mean, as in `rmia_online`, whose ratio this is the
    logarithm of: the two rank a target's records alike up to the ties of RMIA.

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
        >>> auc(base(pool, target, False, 128), target)
        0.89
    """
    scores = empty_scores(targets)
    for b in blocks(targets.side.shape[1], block):
        p = pool.pairs.p_true[:, b]
        reference = np.log(online_reference(p, is_in(pool, b), leave_one_out))
        scores[:, b] = (-targets.pairs.loss[:, b] - reference).mean(axis=-1)
    return scores
