"""A small pool with a known leak, on which the examples of the attacks are worked."""

from __future__ import annotations

import numpy as np

from memory_assets.attacks.reference import Floats
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.signals import Answers, Signals
from memory_assets.statistics.roc import Roc

SHIFT = 2.0
"""How much surer a model is of a record that it trained on, in nats of margin."""


def pool_and_target(models: int = 16, pairs: int = 200, seed: int = 0) -> tuple[Signals, Signals]:
    """Shadow models and one model to audit, whose margins are normal and shifted on members.

    A record's margin is its own difficulty `N(0, 1)`, plus `N(0, 1)` for each model, plus `SHIFT`
    where the model trained on it. Whoever knows the difficulty tells members with an AUC of
    `Phi(SHIFT / sqrt 2)` = .921.

    Args:
        models: shadow models K, an even number.
        pairs: pairs of a member and a non-member, n.
        seed: of sides and margins.

    Returns:
        The pool (K models) and the target (one model), answers `[K, n, 2, 1]` and `[1, n, 2, 1]`.

    Examples:
        >>> pool, target = pool_and_target()
        >>> pool.models, target.models, pool.pairs.score.shape
        (16, 1, (16, 200, 2, 1))
    """
    side = draw_masks(models + 2, pairs, seed)[: models + 1]
    rng = np.random.default_rng(seed)
    margin = rng.normal(size=(1, pairs, 2)) + rng.normal(size=(models + 1, pairs, 2))
    margin += SHIFT * (side[..., None] == np.arange(2))
    labels = np.zeros((pairs, 2), np.int64)
    logits = np.stack([margin, np.zeros_like(margin)], axis=-1)[:, :, :, None, :]
    nobody = Answers.from_logits(np.zeros((models + 1, 0, 1, 2)), np.zeros(0, np.int64))
    floor = np.zeros(models + 1)
    every = Signals(Answers.from_logits(logits, labels), nobody, side, floor)
    return every.of_models(slice(0, models)), every.of_models(slice(models, None))


def auc(scores: Floats, target: Signals) -> float:
    """AUC of the scores `[1, n, 2]` of one target, to two digits.

    Examples:
        >>> pool, target = pool_and_target()
        >>> auc(target.is_in.astype(float), target)
        1.0
    """
    own, members = scores[0], target.is_in[0]
    value = Roc.of(own[members], own[~members]).auc().value
    assert value is not None
    return round(value, 2)
