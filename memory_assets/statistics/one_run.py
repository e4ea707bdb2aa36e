"""Auditing differential privacy with one training run (Steinke, Nasr & Jagielski 2023).

Many canaries share one run. Their coins are independent even though the answers of one model are
not, so this bound needs no independence between records.
"""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.special import expit

from memory_assets.statistics.epsilon import EpsilonBound, check_delta, lower_bound
from memory_assets.statistics.intervals import CONFIDENCE

MOST_EPSILON = 50.0
"""Beyond any ceiling that a sample could reach."""


def _one_run(correct: int, guesses: int, canaries: int, delta: float, confidence: float) -> float:
    alpha = 1 - confidence
    i = np.arange(1, correct + 1)

    def p_value(epsilon: float) -> float:
        q = float(expit(epsilon))
        p = float(scipy.stats.binom.sf(correct - 1, guesses, q))
        if delta > 0 and correct > 0:
            just_below = np.cumsum(scipy.stats.binom.pmf(correct - i, guesses, q))
            p += 2 * canaries * delta * float(np.max(just_below / i))
        return min(1.0, p)

    if p_value(0.0) > alpha:
        return 0.0
    low, high = 0.0, MOST_EPSILON
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if p_value(middle) <= alpha else (low, middle)
    return low


def one_run_epsilon(
    correct: int,
    guesses: int,
    canaries: int,
    delta: float = 0.0,
    confidence: float = CONFIDENCE,
) -> EpsilonBound:
    """Audit of a single training run (Steinke, Nasr & Jagielski 2023, theorem 5.2).

    `correct` of `guesses` were right about canaries that were included by fair independent coins;
    on the other `canaries` the auditor abstained. The bound is the largest epsilon that is still
    rejected: with q = sigmoid(epsilon) and B ~ Bin(guesses, q),
    `p = P[B >= v] + 2 m delta max_i P[v-i <= B < v] / i` is at most 1 - confidence.

    Args:
        correct: right guesses, 0 to `guesses`.
        guesses: canaries guessed about, at least 1.
        canaries: all of them, m.
        delta: of (epsilon, delta)-differential privacy, in [0, 1).
        confidence: with which the bound holds.

    Returns:
        The bound in nats beside its ceiling.

    Raises:
        ValueError: counts out of order, no guess, or `delta` outside [0, 1).

    Examples:
        >>> round(one_run_epsilon(1000, 1000, 1000).estimate.value, 2)
        5.81
    """
    check_delta(delta)
    if not 0 <= correct <= guesses <= canaries or guesses < 1:
        raise ValueError(
            "a one-run audit needs 0 <= correct <= guesses <= canaries and a guess, got "
            f"{correct}, {guesses}, {canaries}"
        )
    bound = _one_run(correct, guesses, canaries, delta, confidence)
    top = _one_run(guesses, guesses, canaries, delta, confidence)
    estimate = lower_bound(bound, top, guesses, correct)
    return EpsilonBound("one_run", estimate, top, delta)


def one_run_from_pairs(
    scores: NDArray[np.floating],
    side: NDArray[np.integer],
    share: float = 1.0,
    delta: float = 0.0,
    confidence: float = CONFIDENCE,
) -> EpsilonBound:
    """One-run audit of a model that trained on one side of every pair, drawn by a fair coin.

    Scores `[n, 2]`, `side` `[n]` in {0, 1}. It guesses the side with the higher score in the
    `share` of pairs (fixed beforehand) where the two scores lie furthest apart. Swapping a pair
    changes neither distance nor choice, so the coins stay fair. A tie counts as a wrong guess.

    Args:
        scores: of both sides of each pair, `[n, 2]`, higher = member.
        side: which side was trained on, `[n]` in {0, 1}.
        share: of the pairs that are guessed about, in (0, 1].
        delta: of (epsilon, delta)-differential privacy, in [0, 1).
        confidence: with which the bound holds.

    Returns:
        The bound in nats beside its ceiling.

    Raises:
        ValueError: shapes that do not match, or a share outside (0, 1].

    Examples:
        >>> scores = np.tile([0.0, 1.0], (1000, 1))
        >>> round(one_run_from_pairs(scores, np.ones(1000, int)).estimate.value, 2)
        5.81
    """
    if scores.ndim != 2 or scores.shape != (side.size, 2) or not 0 < share <= 1:
        raise ValueError(
            f"expected scores [n, 2], sides [n] and a share in (0, 1], got {scores.shape}, "
            f"{side.shape} and {share}"
        )
    lead = scores[:, 1] - scores[:, 0]
    guesses = max(1, math.ceil(share * side.size))
    surest = np.argsort(-np.abs(lead), kind="stable")[:guesses]
    correct = int(np.sum(np.where(side[surest] == 1, lead[surest] > 0, lead[surest] < 0)))
    return one_run_epsilon(correct, guesses, side.size, delta, confidence)
