"""Learners whose answers are known in closed form, as pools of signals.

Each is a rule for what a model answers about its IN and its OUT side; see
tests/expected/memorization.md for what every estimator must make of them.
"""

import numpy as np

from memory_assets.pool.signals import Answers, Signals


def masks(models: int, pairs: int, rng: np.random.Generator) -> np.ndarray:
    half = rng.integers(0, 2, (models // 2, pairs), dtype=np.uint8)
    return np.stack([half, 1 - half], axis=1).reshape(models, pairs)


def answers(correct: np.ndarray, score: np.ndarray | None = None) -> Answers:
    """Answers of a two-class model, query axis added: margin +2 where correct, -2 where not."""
    margin = np.where(correct, 2.0, -2.0) if score is None else score
    margin = margin[..., None].astype(np.float64)
    right = correct[..., None]
    return Answers(
        score=margin,
        p_true=1 / (1 + np.exp(-margin)),
        loss=np.logaddexp(0, -margin),
        label_pred=np.where(right, 1, 0).astype(np.int32),
        correct=right,
    )


def pool(
    side: np.ndarray,
    correct: np.ndarray,
    held_out: np.ndarray | None = None,
    score: np.ndarray | None = None,
) -> Signals:
    """Signals from `side` [K, n], `correct` [K, n, 2] and `held_out` correctness [K, h]."""
    if held_out is None:
        held_out = np.zeros((len(side), 0), dtype=bool)
    return Signals(pairs=answers(correct, score), held_out=answers(held_out), side=side)


def is_in(side: np.ndarray) -> np.ndarray:
    return side[..., None] == np.arange(2)


def memoriser(models: int, pairs: int, seed: int = 0) -> Signals:
    """Right on what it trained on, wrong on all else."""
    side = masks(models, pairs, np.random.default_rng(seed))
    return pool(side, is_in(side))


def coin(models: int, pairs: int, seed: int = 0) -> Signals:
    """Right half of the time, whatever it trained on; margins are standard normal."""
    rng = np.random.default_rng(seed)
    side = masks(models, pairs, rng)
    score = rng.normal(size=(models, pairs, 2))
    return pool(side, score > 0, score=score)


def constant(models: int, pairs: int, seed: int = 0) -> Signals:
    """One answer to everything, right on side 0 and wrong on side 1."""
    side = masks(models, pairs, np.random.default_rng(seed))
    correct = np.broadcast_to(np.array([True, False]), (models, pairs, 2))
    return pool(side, correct.copy())


def interpolator(models: int, pairs: int, error: float = 0.3, seed: int = 0) -> Signals:
    """Always right IN; OUT wrong in the share `error` of its models, by lot."""
    rng = np.random.default_rng(seed)
    side = masks(models, pairs, rng)
    return pool(side, is_in(side) | (rng.random((models, pairs, 2)) >= error))
