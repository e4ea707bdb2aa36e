"""Synthetic pools whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.special import expit

from memory_assets.pool.signals import Answers, Signals


def signals_of(score: ArrayLike, side: ArrayLike) -> Signals:
    """Signals from margins `[K, n, 2]` or `[K, n, 2, Q]` and sides `[K, n]`."""
    margins = np.asarray(score, dtype=np.float64)
    if margins.ndim == 3:
        margins = margins[..., None]

    def answers(x: np.ndarray) -> Answers:
        return Answers(x, expit(x), np.logaddexp(0, -x), (x > 0).astype(np.int32), x > 0)

    nothing = np.empty((margins.shape[0], 0, margins.shape[-1]))
    return Signals(answers(margins), answers(nothing), np.asarray(side, dtype=np.uint8))


def balanced_sides(rng: np.random.Generator, models: int, pairs: int) -> np.ndarray:
    """Each side of a pair is IN for exactly half of the models, in random order."""
    half = np.repeat(np.arange(models)[:, None] % 2, pairs, axis=1)
    return rng.permuted(half, axis=0)


@dataclass(frozen=True)
class World:
    """Gaussian margins: difficulty of the record + gain if trained on + noise of sd `spread`."""

    pairs: int
    gain: float = 1.0
    spread: float = 1.0
    queries: int = 1
    seed: int = 0

    def models(self, count: int, draw: int = 0) -> Signals:
        """`count` models of this world; another `draw`, other models of the same records."""
        difficulty = np.random.default_rng(self.seed).normal(2, 2, (self.pairs, 2, 1))
        rng = np.random.default_rng([self.seed, draw, 1])
        if count > 1:
            side = balanced_sides(rng, count, self.pairs)
        else:
            side = rng.integers(0, 2, (1, self.pairs))
        inside = side[..., None] == np.arange(2)
        noise = rng.normal(0, self.spread, (count, self.pairs, 2, self.queries))
        return signals_of(difficulty + noise + self.gain * inside[..., None], side)


@pytest.fixture
def world():
    return World


@pytest.fixture
def make_signals():
    return signals_of
