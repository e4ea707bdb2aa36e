"""Quantile regression (Bertran et al. 2023, "Scalable membership inference attacks via quantile
regression").

How high would the target's margin be on this record had it not trained on it? A regression learns
that from the target's non-members, and a record scores by how far it exceeds the answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from memory_assets.attacks.reference import Bools, Floats, blocks, is_in, moments
from memory_assets.pool.signals import Signals

LEVEL = 0.9
FOLDS = 2
FEWEST = 20
"""Non-members that a fold must fit on: fewer do not show a 90% quantile."""


def quantile(pool: Signals, targets: Signals, leave_one_out: bool, block: int) -> Floats:
    """`phi - q90(phi | record)`, phi the logit margin, averaged over Q; q90 is cross-fitted.

    The features of a record are the mean and the log standard deviation of its margin under the
    pool's OUT models: how hard it is, from models that never saw it. The regression (gradient
    boosted trees on the pinball loss) is fitted for each target on that target's non-members. Folds
    are made of whole pairs, so that neither a record nor its partner is scored by a regression
    that was fitted on it, and members and non-members are scored by the same one.

    Args:
        pool: shadow models, answers `[K, n, 2, Q]`.
        targets: models under audit, answers `[T, n, 2, Q]`; the pool itself under leave-one-out.
        leave_one_out: each target is a model of the pool, left out of what it is held against.
        block: pairs worked off at once; bounds memory, and changes nothing beyond rounding.

    Returns:
        Scores float64 `[T, n, 2]` in nats; higher = more likely a member.

    Raises:
        ValueError: fewer than 20 non-members to fit on.

    Examples:
        >>> from memory_assets.attacks.worked_example import auc, pool_and_target
        >>> pool, target = pool_and_target()
        >>> auc(quantile(pool, target, False, 128), target)
        0.88
    """
    margins = targets.pairs.score.mean(axis=-1)
    features = _difficulty(pool, leave_one_out, block)
    fold = np.random.default_rng(0).permutation(margins.shape[1]) % FOLDS
    scores = np.empty(margins.shape)
    for t, (margin, members) in enumerate(zip(margins, targets.is_in, strict=True)):
        x = features[t if leave_one_out else 0]
        scores[t] = margin - _cross_fitted(x, margin, ~members, fold)
    return scores


def _difficulty(pool: Signals, leave_one_out: bool, block: int) -> Floats:
    """Mean and log standard deviation of the OUT margins, `[1 or T, n, 2, 2]`."""
    models = pool.models if leave_one_out else 1
    features = np.empty((models, pool.side.shape[1], 2, 2))
    for b in blocks(features.shape[1], block):
        margin = pool.pairs.score[:, b].mean(axis=-1, keepdims=True)
        out = moments(margin, ~is_in(pool, b), leave_one_out)
        features[:, b, :, 0] = out.mean[..., 0]
        features[:, b, :, 1] = np.log(out.variance[..., 0]) / 2
    return features


def _cross_fitted(x: Floats, margin: Floats, non_member: Bools, fold: np.ndarray) -> Floats:
    """The 90% quantile for every record `[n, 2]` from the non-members of the other folds."""
    # sklearn ships no types.
    from sklearn.ensemble import (  # pyright: ignore[reportMissingTypeStubs]
        HistGradientBoostingRegressor,
    )

    expected = np.empty(margin.shape)
    for f in range(FOLDS):
        here = fold == f
        learn = non_member & ~here[:, None]
        if learn.sum() < FEWEST:
            raise ValueError(
                f"quantile regression needs {FEWEST} non-members of the target to fit on in each "
                f"of {FOLDS} folds, got {int(learn.sum())}"
            )
        regression: Any = HistGradientBoostingRegressor(
            loss="quantile",
            quantile=LEVEL,
            learning_rate=0.4,
            max_iter=10,
            max_leaf_nodes=8,
            early_stopping=False,  # pyright: ignore[reportArgumentType]
            random_state=0,
        )
        regression.fit(x[learn], margin[learn])
        expected[here] = regression.predict(x[here].reshape(-1, 2)).reshape(-1, 2)
    return expected
