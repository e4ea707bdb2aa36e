"""Counterfactual memorization of texts: what models that trained on a text do better on it.

Zhang et al. (2023), "Counterfactual memorization in neural language models" (arXiv 2112.12938),
eq. 2: `mem(x) = E[M(x) | x IN] - E[M(x) | x OUT]`, M the top-1 accuracy a token (and, beside it,
the loss in nats a token, OUT minus IN), over the models of one pool.

The two models of a couple trained on opposite sides of every pair, so each couple gives one
difference for every text, and couples are independent: the interval of a text is Student's over
its K/2 differences. With few of these a text's own spread may be small by luck, so it is never
taken to be less than the mean spread of all texts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from memory_assets.memorization.complementary_pairs import couple_signs
from memory_assets.memorization.per_record import MEMORIZED
from memory_assets.pool.signals import Signals
from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.results.formulas import COUNTERFACTUAL
from memory_assets.statistics.intervals import CONFIDENCE, mean_interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """IN minus OUT of every text, arrays `[n, 2]` over (pair, side), with 95% intervals.

    `error` is the standard error; `by_couple` `[K/2]` the mean over all texts, couple by couple.
    """

    value: Floats
    low: Floats
    high: Floats
    error: Floats
    by_couple: Floats


@dataclass(frozen=True)
class Counterfactual:
    """How much more a model knows of a text for having trained on it.

    `accuracy` in shares of its tokens, `loss` in nats a token (positive: lower loss when IN).
    """

    accuracy: Difference
    loss: Difference
    measurements: tuple[Measurement, ...]


def counterfactual(signals: Signals) -> Counterfactual:
    """Score every text of a pool.

    Raises:
        ValueError: no pair, fewer than two IN or OUT models for a text, or models that do not come
            in couples on opposite sides.
    """
    signs = couple_signs(signals)
    accuracy = _difference(signals.pairs.correct[..., 0].astype(np.float64), signs, most=1.0)
    loss = _difference(-signals.pairs.loss[..., 0], signs)
    measured = {
        ("mean_accuracy_gain", "probability"): mean_interval(accuracy.by_couple),
        ("mean_loss_gain", "nats"): mean_interval(loss.by_couple),
        (f"share_above_{MEMORIZED}", "probability"): _share_above(accuracy, MEMORIZED),
    }
    return Counterfactual(
        accuracy,
        loss,
        tuple(
            Measurement(
                "memorization", "counterfactual", metric, unit, estimate, COUNTERFACTUAL.version
            )
            for (metric, unit), estimate in measured.items()
        ),
    )


def _difference(values: Floats, signs: NDArray[np.float32], most: float = np.inf) -> Difference:
    """Differences IN - OUT of `values` `[K, n, 2]`, none of which can be larger than `most`;
    `signs` `[K/2, n]` is +1 where model 2j has side 0."""
    first_minus_second = values[0::2] - values[1::2]
    towards = np.stack([signs, -signs], axis=-1).astype(np.float64)
    by_text = first_minus_second * towards
    couples = len(by_text)
    mean = by_text.mean(axis=0)
    variance = by_text.var(axis=0, ddof=1)
    error = np.sqrt(np.maximum(variance, variance.mean()) / couples)
    half = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, couples - 1) * error
    low, high = np.maximum(mean - half, -most), np.minimum(mean + half, most)
    return Difference(mean, low, high, error, by_text.mean(axis=(1, 2)))


def _share_above(found: Difference, threshold: float) -> Estimate:
    """Share of the texts whose own interval lies above `threshold`, k of n texts.

    The interval runs from the texts that surely lie above to those that possibly do, all of them at
    once (Student's ends, Bonferroni over the texts): it covers the true share above `threshold`.
    """
    n = found.value.size
    clear = int((found.low > threshold).sum())
    tail = (1 - CONFIDENCE) / n / 2
    half = scipy.stats.t.isf(tail, len(found.by_couple) - 1) * found.error
    surely = int((found.value - half > threshold).sum())
    possibly = int((found.value + half > threshold).sum())
    return Estimate(clear / n, surely / n, possibly / n, n=n, k=clear)
