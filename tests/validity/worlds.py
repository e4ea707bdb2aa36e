"""Pools of Gaussian margins with a planted leak, and small attacks on them."""

import numpy as np

from memory_assets.pool.signals import Answers, Signals


def answers(score):
    score = score[..., None]
    return Answers(
        score=score,
        p_true=1 / (1 + np.exp(-score)),
        loss=np.logaddexp(0, -score),
        label_pred=(score > 0).astype(np.int32),
        correct=score > 0,
    )


def world(models, pairs, leak, seed, held_out=100):
    """A pool of `models` and one more model as target; records in the training set gain `leak`."""
    rng = np.random.default_rng(seed)
    half = rng.integers(0, 2, (models // 2, pairs), dtype=np.uint8)
    side = np.stack([half, 1 - half], axis=1).reshape(models, pairs)
    side = np.concatenate([side, rng.integers(0, 2, (1, pairs), dtype=np.uint8)])
    inside = side[..., None] == np.arange(2)
    score = rng.normal(1, 2, (pairs, 2)) + rng.normal(size=(models + 1, pairs, 2)) + leak * inside
    quality = rng.normal(0, 0.1, (models + 1, 1))
    held = rng.normal(1, 2, held_out) + rng.normal(size=(models + 1, held_out)) + quality
    return tuple(
        Signals(answers(score[rows]), answers(held[rows]), side[rows])
        for rows in (slice(0, models), slice(models, None))
    )


def loss(_pool, targets, **_):
    return -targets.pairs.loss[..., 0]


def calibrated(pool, targets, **_):
    outside = ~pool.is_in
    mean = (pool.pairs.score[..., 0] * outside).sum(axis=0) / outside.sum(axis=0)
    return targets.pairs.score[..., 0] - mean


def likelihood(pool, targets, **_):
    inside, score = pool.is_in, pool.pairs.score[..., 0]
    within = (score * inside).sum(axis=0) / inside.sum(axis=0)
    without = (score * ~inside).sum(axis=0) / (~inside).sum(axis=0)
    own = targets.pairs.score[..., 0]
    return (own - without) ** 2 - (own - within) ** 2


ATTACKS = {"loss": loss, "calibrated": calibrated, "likelihood": likelihood}
