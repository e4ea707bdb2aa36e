"""The records that influence is measured on, and the exact test of one record against one other.

Held-out records are answered by every model, so a couple of models makes a matched comparison: one
trained on the record, the other on its partner. Given everything else, which of the two trained on
the record is a fair coin. Of the couples that differ, those in favour are then binomial(., 1/2) if
the record has no influence: an exact sign test (McNemar).

Where nothing is held out, the records of the other pairs serve, through the models that did not
train on them: one of each couple, independent of each other. Given how many of these trained on
the record and how many answer rightly, those that did both are hypergeometric (Fisher).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.special import gammaln

from memory_assets.pool.signals import Signals

LEVEL = 0.05
_FEWEST = int(np.ceil(-np.log2(LEVEL)))
"""With fewer couples that differ, no outcome of the test reaches the level: left out beforehand."""
_MOST_OUT_RECORDS = 2_000
"""Records of the pairs that stand in for held-out ones, at most: the test takes all against all."""
_MOST_COUPLES = 128
"""Couples in that test, at most: its table of outcomes grows with their cube."""

Signs = NDArray[np.float32]


@dataclass(frozen=True)
class HeldOut:
    """Held-out records; the code of an outcome is (couples that differ, those in favour).

    `accuracy` `[K/2, 2]` is that of the two models of each couple, `p_values` the test's by code.
    `codes` tells, for a block of pairs `[K/2, b]`, the outcome of each record against each of the
    `evaluated` ones: two arrays `[b, evaluated]`, for side 0 and side 1.
    """

    accuracy: NDArray[np.float64]
    p_values: NDArray[np.float64]
    differs: NDArray[np.int64]
    difference: Signs

    @property
    def evaluated(self) -> int:
        return self.difference.shape[1]

    def codes(self, signs: Signs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        total = (signs.T @ self.difference).astype(np.int64)
        row = self.differs * (len(signs) + 1)
        return row + (self.differs + total) // 2, row + (self.differs - total) // 2


@dataclass(frozen=True)
class OutRecords:
    """Records of the pairs, where unseen; the code is (trained on, right, both).

    As `HeldOut`, but `accuracy` is relative to each record's own mean.
    """

    accuracy: NDArray[np.float64]
    p_values: NDArray[np.float64]
    unseen: Signs
    right: NDArray[np.int64]
    unseen_right: Signs

    @property
    def evaluated(self) -> int:
        return self.unseen.shape[1]

    def codes(self, signs: Signs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        couples, base = len(self.unseen), len(self.unseen) + 1
        signs = signs[:couples]
        trained = (couples + (signs.T @ self.unseen).astype(np.int64)) // 2
        both = (self.right + (signs.T @ self.unseen_right).astype(np.int64)) // 2
        first = (trained * base + self.right) * base + both
        second = ((couples - trained) * base + self.right) * base + (self.right - both)
        return first, second


Evaluation = HeldOut | OutRecords


def _held_out(signals: Signals) -> HeldOut:
    correct = signals.held_out.correct[..., 0].astype(np.float32)
    difference = correct[0::2] - correct[1::2]
    differs = np.abs(difference).sum(axis=0).astype(np.int64)
    kept = differs >= _FEWEST
    couples = len(difference)
    count, hits = np.ogrid[: couples + 1, : couples + 1]
    return HeldOut(
        accuracy=correct.mean(axis=1, dtype=np.float64).reshape(-1, 2),
        p_values=np.ravel(scipy.stats.binom.sf(hits - 1, count, 0.5)),
        differs=differs[kept],
        difference=difference[:, kept],
    )


def _hypergeometric_tail(models: int) -> NDArray[np.float64]:
    """`P[both >= b]` for every (trained, right, b) of `models`, flat; 1 where b cannot be."""
    trained, right, both = np.ogrid[: models + 1, : models + 1, : models + 1]
    log = gammaln(np.arange(models + 2) + 1.0)

    def choose(n: NDArray, k: NDArray) -> NDArray:
        inside = (k >= 0) & (k <= n)
        k = np.where(inside, k, 0)
        return np.where(inside, log[n] - log[k] - log[n - k], -np.inf)

    density = np.exp(
        choose(trained, both)
        + choose(models - trained, right - both)
        - choose(np.full_like(right, models), right)
    )
    tail = density[..., ::-1].cumsum(axis=-1)[..., ::-1]
    return np.minimum(tail, 1.0).ravel()


def _out_records(signals: Signals, signs: Signs) -> OutRecords:
    couples, pairs = signs.shape
    correct = signals.pairs.correct[..., 0].reshape(couples, 2, pairs, 2)
    first_out = signs < 0
    # Side 0 is unseen by model 2j + 1 where model 2j trained on it, and the other way round.
    by_side = [
        np.where(first_out, correct[:, 0, :, 0], correct[:, 1, :, 0]),
        np.where(first_out, correct[:, 1, :, 1], correct[:, 0, :, 1]),
    ]
    residual = [answered - answered.mean(axis=0) for answered in by_side]
    # The record's difficulty is taken out: each model is judged on records of its own.
    accuracy = np.stack(
        [
            np.where(first_out, residual[0], residual[1]).mean(axis=1),
            np.where(first_out, residual[1], residual[0]).mean(axis=1),
        ],
        axis=1,
    )
    couples = min(couples, _MOST_COUPLES)
    unseen_right = np.stack(by_side, axis=2)[:couples].reshape(couples, -1)
    orientation = np.stack([-signs, signs], axis=2)[:couples].reshape(couples, -1)
    right = unseen_right.sum(axis=0)
    kept = np.flatnonzero(np.minimum(right, couples - right) >= _FEWEST)
    kept = kept[:: max(1, -(-len(kept) // _MOST_OUT_RECORDS))]
    return OutRecords(
        accuracy=accuracy,
        p_values=_hypergeometric_tail(couples),
        unseen=orientation[:, kept],
        right=right[kept].astype(np.int64),
        unseen_right=(orientation * unseen_right)[:, kept].astype(np.float32),
    )


def evaluation(signals: Signals, signs: Signs) -> Evaluation:
    """What influence is measured on: held-out records, or the unseen records of other pairs."""
    if signals.held_out.correct.shape[1]:
        return _held_out(signals)
    return _out_records(signals, signs)
