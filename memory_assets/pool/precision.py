"""How finely probabilities that came as probabilities were written down, and what that leaves.

Rounding turns a probability near 1 into 1, and its margin, which is infinite then, into whatever
floor it is given. A floor far below the last digit makes outliers of these answers, and attacks by
shadow models, which reckon with the spread of the margins, find a fraction of what there is. Half
of the last digit is the best guess of what was rounded away.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from memory_assets.pool.signals import PROBABILITY_FLOOR, Answers, Signals

_MOST_PARTS = 1000
_DIGITS = range(4, 10)
_LOOKED_AT = 200_000
_SLACK = 1e-6
_SINGLE = 6e-8  # the rounding of float32, of a number up to 1
_CHANCE = 1e-6


def last_digit(probabilities: NDArray[np.float64]) -> float:
    """The step in which these probabilities were written: 0.01 for hundredths, 0 where none shows.

    Fractions up to thousandths, of whatever denominator (a forest of 64 trees answers in 64ths; a
    model that answers labels, in ones), then 4 to 9 decimal digits.
    """
    seen = np.unique(np.asarray(probabilities, dtype=np.float64).ravel()[:_LOOKED_AT])
    inner = seen[(seen > 0) & (seen < 1)]
    different = np.unique(np.round(inner, 6)).size  # 1 - 2/3 is not quite 1/3
    for parts in range(different + 1, _MOST_PARTS + 1):
        if (np.abs(inner * parts - np.round(inner * parts)) <= _SLACK * parts).all():
            return 1 / parts
    single = bool((seen.astype(np.float32) == seen).all())
    for digits in _DIGITS:
        scaled = inner * 10.0**digits
        slack = 1e-4 + single * _SINGLE * 10.0**digits
        by_chance = min(1.0, 2 * slack) ** inner.size
        if by_chance < _CHANCE and (np.abs(scaled - np.round(scaled)) <= slack).all():
            return 10.0**-digits
    return 0.0


def floor_of(probabilities: NDArray[np.float64]) -> float:
    """Below this, a probability or its complement is not told from 0: half of the last digit.

    Where the answers have no common last digit and some of them are 0 all the same (the leaves of a
    tree hold fractions of many denominators), half of the smallest that is not.
    """
    if step := last_digit(probabilities):
        return max(step / 2, PROBABILITY_FLOOR)
    p = np.asarray(probabilities, dtype=np.float64)
    positive = p[p > 0]
    if positive.size == p.size:
        return PROBABILITY_FLOOR
    return max(float(positive.min()) / 2, PROBABILITY_FLOOR)


def aligned(pool: Signals, target: Signals) -> tuple[Signals, Signals]:
    """Pool and target as precise as the coarsest model of either: margins cut at the same limit.

    Otherwise the answers that were rounded in one and not in the other would differ by that alone.
    """
    floor = max(float(s.floor.max(initial=0.0)) for s in (pool, target))
    if floor <= PROBABILITY_FLOOR:
        return pool, target
    limit = float(-np.log(floor))
    return _cut(pool, limit), _cut(target, limit)


def _cut(signals: Signals, limit: float) -> Signals:
    def cut(answers: Answers) -> Answers:
        beyond = np.abs(answers.score) > limit
        if not beyond.any():
            return answers
        score = np.clip(answers.score, -limit, limit)
        return replace(
            answers,
            score=score,
            p_true=np.where(beyond, expit(score), answers.p_true),
            loss=np.where(beyond, np.logaddexp(0.0, -score), answers.loss),
        )

    return replace(signals, pairs=cut(signals.pairs), held_out=cut(signals.held_out))
