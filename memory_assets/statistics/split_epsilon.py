"""Epsilon with attack and threshold chosen on one half of the pairs, and reported on the other.

It needs nothing that was known before the scores were seen: no threshold, no shadow models, nor
which of several attacks is strong. What it pays for that is half of the records. Clopper-Pearson on
the half that was not chosen on, as in Nasr et al. (2021).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from memory_assets.results.formulas import SPLIT_EPSILON
from memory_assets.statistics.epsilon import (
    EpsilonBound,
    ceiling,
    check_delta,
    epsilon_at,
    lower_bound,
)
from memory_assets.statistics.intervals import CONFIDENCE
from memory_assets.statistics.roc import Roc

FEWEST_PAIRS = 4
_CUTS = 40


def _roc(scores: NDArray[np.floating], side: NDArray[np.integer], rows: NDArray[np.intp]) -> Roc:
    """The scores of some pairs: of the side that was trained on, and of the other."""
    inside = side[rows].astype(np.intp)
    return Roc.of(scores[rows, inside], scores[rows, 1 - inside])


def _cuts(roc: Roc) -> NDArray[np.float64]:
    """Midway between two scores; dense where a bound is won: few false alarms or missed members."""
    x, z = roc.members, roc.non_members
    few = np.unique(np.geomspace(1, x.size, _CUTS).astype(np.intp))
    cuts, scores = np.concatenate([z[z.size - few], x[few - 1]]), np.unique(np.concatenate([x, z]))
    above = np.searchsorted(scores, cuts, side="right")
    return np.unique((cuts + scores[np.minimum(above, scores.size - 1)]) / 2)


def _halves(side: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Two random halves of the pairs, the same for all attacks; scores have no say in them."""
    seed = int(hashlib.sha256(np.asarray(side, np.uint8).tobytes()).hexdigest()[:16], 16)
    order = np.random.default_rng(seed).permutation(len(side))
    return order[: len(side) // 2], order[len(side) // 2 :]


@SPLIT_EPSILON.computes
def split_epsilon(
    scores: Mapping[str, NDArray[np.floating]],
    side: NDArray[np.integer],
    delta: float = 0.0,
    confidence: float = CONFIDENCE,
) -> EpsilonBound:
    """Lower bound on epsilon of one model that trained on one side of every pair.

    Scores `[n, 2]` by attack, `side` `[n]` in {0, 1}. The attack and the threshold whose bound is
    largest on one half of the pairs are reported on the other: one bound, which holds at
    `confidence` however many were looked at.

    Args:
        scores: for each attack those of both sides of each pair, `[n, 2]`, higher = member.
        side: which side was trained on, `[n]` in {0, 1}.
        delta: of (epsilon, delta)-differential privacy, in [0, 1).
        confidence: with which the bound holds.

    Returns:
        The bound in nats beside its ceiling.

    Raises:
        ValueError: no attack, fewer than `FEWEST_PAIRS` pairs, shapes that do not match.

    Examples:
        >>> scores = np.tile([0.0, 1.0], (200, 1))
        >>> found = split_epsilon({"loss": scores}, np.ones(200, int))
        >>> round(found.estimate.value, 2), found.estimate.status
        (3.28, 'at_ceiling')
    """
    check_delta(delta)
    n = len(side)
    if not scores or n < FEWEST_PAIRS or any(s.shape != (n, 2) for s in scores.values()):
        shapes = sorted({s.shape for s in scores.values()})
        raise ValueError(
            f"a split needs scores [n, 2] of at least {FEWEST_PAIRS} pairs, got {shapes} and {n}"
        )
    first, second = _halves(side)

    def best(name: str) -> tuple[float, str, float]:
        chosen = _roc(scores[name], side, first)
        found = [(epsilon_at(chosen, float(c), delta, confidence), float(c)) for c in _cuts(chosen)]
        bound, cut = max(found, key=lambda each: each[0])
        return bound, name, cut

    _, name, cut = max((best(name) for name in scores), key=lambda each: each[0])
    reported = _roc(scores[name], side, second)
    bound = epsilon_at(reported, cut, delta, confidence)
    top = ceiling(len(second), len(second), delta, confidence)
    return EpsilonBound("split", lower_bound(bound, top, reported.n), top, delta)
