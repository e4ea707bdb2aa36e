"""Memorization of single records: how much better a model answers for having trained on it.

Feldman and Zhang (2020), "What neural networks memorize and why", eq. 1:
`mem(r) = P[correct on r | r IN] - P[correct on r | r OUT]`, over the draw of the other records and
of the training run; here over the models of one pool. With balanced masks its mean over records
equals the pool's mean generalization gap exactly.

The interval of one record is that of Agresti and Caffo (2000): Wald's after one success and one
failure are added to either side. Over p, q in [0, 1] and 4 to 64 models a side its exact coverage
stays at 87% to 94% at the worst point and 95% to 96% on average, at Newcombe's width but without
Newcombe's dips (83%); exact intervals are twice as wide. Two models of a couple can only oppose
each other, where one's record is learned through others that the second lacks; the covariance of
the couples, where negative, is added to the variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from memory_assets.memorization.complementary_pairs import check_sides, couple_signs, has_couples
from memory_assets.pool.signals import Signals
from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.results.formulas import PER_RECORD
from memory_assets.statistics.intervals import CONFIDENCE, mean_interval

MEMORIZED = 0.25
"""Feldman and Zhang's threshold; a record is memorized, everywhere here, *above* it."""


@dataclass(frozen=True)
class PerRecord:
    """The memorization of every record, arrays `[n, 2]` over (pair, side), all finite.

    `value` in [-1, 1] with the interval `low`, `high` of one record (95% by default);
    `correct_in` of `count_in` models that trained on it answer it correctly, `correct_out` of
    `count_out` that did not.
    """

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    correct_in: NDArray[np.int64]
    count_in: NDArray[np.int64]
    correct_out: NDArray[np.int64]
    count_out: NDArray[np.int64]

    @property
    def records(self) -> int:
        return self.value.size


@PER_RECORD.computes
def score_records(signals: Signals, confidence: float = CONFIDENCE) -> PerRecord:
    """Score every record of the pool.

    Raises:
        ValueError: no pair, or a record with fewer than two IN or OUT models.
    """
    check_sides(signals)
    correct, is_in = signals.pairs.correct[..., 0], signals.is_in
    count_in = is_in.sum(axis=0)
    count_out = signals.models - count_in
    correct_in = (correct & is_in).sum(axis=0)
    correct_out = correct.sum(axis=0) - correct_in
    p, q = correct_in / count_in, correct_out / count_out
    p_more, q_more = (correct_in + 1) / (count_in + 2), (correct_out + 1) / (count_out + 2)
    variance = p_more * (1 - p_more) / (count_in + 2) + q_more * (1 - q_more) / (count_out + 2)
    if has_couples(signals.side):
        both = (correct[0::2] & correct[1::2]).mean(axis=0)
        variance -= 2 * np.minimum(both - p * q, 0) / (count_in + 2)
    half = scipy.stats.norm.ppf((1 + confidence) / 2) * np.sqrt(variance)
    return PerRecord(
        value=p - q,
        low=np.maximum(p_more - q_more - half, -1.0),
        high=np.minimum(p_more - q_more + half, 1.0),
        correct_in=correct_in,
        count_in=count_in,
        correct_out=correct_out,
        count_out=count_out,
    )


def _exact_bounds(k: NDArray, n: NDArray, tail: float) -> tuple[NDArray, NDArray]:
    """Clopper-Pearson for arrays, with `tail` on either end (0 and 1 where k reaches the end)."""
    low = np.where(k > 0, scipy.stats.beta.ppf(tail, np.maximum(k, 1), n - k + 1), 0.0)
    high = np.where(k < n, scipy.stats.beta.ppf(1 - tail, k + 1, np.maximum(n - k, 1)), 1.0)
    return low, high


def bounds_of_all(scores: PerRecord) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends `[n, 2]` between which every record's memorization lies, all of them at once (95%).

    Exact bounds on both rates, Bonferroni over the records.
    """
    tail = (1 - CONFIDENCE) / scores.records / 4
    in_low, in_high = _exact_bounds(scores.correct_in, scores.count_in, tail)
    out_low, out_high = _exact_bounds(scores.correct_out, scores.count_out, tail)
    return in_low - out_high, in_high - out_low


def share_memorized(scores: PerRecord, threshold: float = MEMORIZED) -> Estimate:
    """Share of the records whose own interval lies above `threshold`, k of n records.

    Records of one pool are not independent trials, so no binomial interval holds. This one asks
    which records surely lie above or surely not, by `bounds_of_all`: it covers the true share of
    records above `threshold`.
    """
    low, high = bounds_of_all(scores)
    clear = int((scores.low > threshold).sum())
    surely = min(int((low > threshold).sum()), clear)
    possibly = max(int((high > threshold).sum()), clear)
    n = scores.records
    return Estimate(clear / n, surely / n, possibly / n, n=n, k=clear)


def measure_records(signals: Signals, scores: PerRecord) -> list[Measurement]:
    """Mean memorization, accuracy IN and OUT, and the share of memorized records.

    Means are over the records at hand and their intervals over retrained models, with couples as
    units (n = K/2): within a couple every record is IN once, so its difficulty cancels.

    Raises:
        ValueError: the models do not come in couples.
    """
    couple_signs(signals)
    correct = signals.pairs.correct[..., 0]
    inside = (correct & signals.is_in).mean(axis=(1, 2)) * 2
    outside = (correct & ~signals.is_in).mean(axis=(1, 2)) * 2
    of_couple = {
        name: values.reshape(-1, 2).mean(axis=1)
        for name, values in (("in", inside), ("out", outside))
    }
    gap = of_couple["in"] - of_couple["out"]
    found = {
        "mean_memorization": mean_interval(gap, bounds=(-1.0, 1.0)),
        "in_accuracy": mean_interval(of_couple["in"], bounds=(0.0, 1.0)),
        "out_accuracy": mean_interval(of_couple["out"], bounds=(0.0, 1.0)),
        f"share_above_{MEMORIZED}": share_memorized(scores),
    }
    return [
        Measurement(
            "memorization", "feldman_zhang", metric, "probability", estimate, PER_RECORD.version
        )
        for metric, estimate in found.items()
    ]
