"""The score channel: how much a model's margins tell of what it trained on, at least.

Given the two margins of a pair, which side was trained on? A Gaussian likelihood ratio per record
answers with `LR`, the log odds in favour of the truth. By Barber and Agakov (2003) any answer that
was not fitted on the model in question gives a lower bound `I(score; U) >= ln 2 - E log(1 + e^-LR)`
nats; by Fano, so does its accuracy a > 1/2 in the pair game: `ln 2 - h(a)`.

The fit is crossed: models fall into four folds by couple, and a model is judged by a ratio whose
means, variances and confidence (one slope on the log odds) come from the other three folds alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from memory_assets.memorization.complementary_pairs import shuffled
from memory_assets.pool.signals import Signals
from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.results.formulas import SCORE_CHANNEL
from memory_assets.statistics.intervals import CONFIDENCE, mean_interval

SHUFFLES = 10
LN2 = float(np.log(2))
_BLOCK = 4_096
_FOLDS = 4
_SLOPES = np.concatenate([[0.0], np.geomspace(0.05, 2.0, 12)])
_SUREST = 10.0
"""Log odds are cut here: one surprise then costs 10 nats and not hundreds."""
_SHRINKAGE = 8.0
"""A record's variance counts as much as its models, the pooled variance as much as 8 models."""
_FLOOR = 1e-6

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Sums:
    """Counts, sums and squares of the margins by fold, `[folds, 2 (OUT, IN), n, 2]`."""

    count: Floats
    total: Floats
    squares: Floats

    @classmethod
    def of(cls, margin: Floats, is_in: NDArray[np.bool_], fold: NDArray[np.int64]) -> _Sums:
        parts = []
        for f in range(_FOLDS):
            x, inside = margin[fold == f], is_in[fold == f]
            weights = [(~inside).astype(np.float64), inside.astype(np.float64)]
            parts.append(
                [
                    [w.sum(axis=0) for w in weights],
                    [np.einsum("kns,kns->ns", w, x) for w in weights],
                    [np.einsum("kns,kns,kns->ns", w, x, x) for w in weights],
                ]
            )
        stacked = np.array(parts).swapaxes(0, 1)
        return cls(*stacked)

    def log_odds(self, folds: list[int], margin: Floats) -> Floats:
        """Log odds `[k, n]` that side 0 was trained on, by the moments of these folds."""
        count = self.count[folds].sum(axis=0)
        total = self.total[folds].sum(axis=0)
        enough = count >= 2
        mean = total / np.maximum(count, 1)
        spread = np.maximum(self.squares[folds].sum(axis=0) - total * mean, 0.0)
        freedom = np.maximum(count - 1, 0)
        pooled = spread.sum((1, 2)) / np.maximum(freedom.sum((1, 2)), 1)
        pooled = np.maximum(pooled, _FLOOR)[:, None, None]
        variance = (_SHRINKAGE * pooled + spread) / (_SHRINKAGE + freedom)
        density = -0.5 * ((margin[:, None] - mean) ** 2 / variance + np.log(variance))
        ratio = np.where(enough.all(axis=0), density[:, 1] - density[:, 0], 0.0)
        return ratio[..., 0] - ratio[..., 1]


def _gained(log_odds: Floats) -> Floats:
    """`ln 2 - log(1 + e^-LR)` nats of each answer, LR in favour of the truth."""
    return LN2 - np.logaddexp(0.0, -np.clip(log_odds, -_SUREST, _SUREST))


def _crossed(margin: Floats, side: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """By pair of one block: nats gained, and accuracy in the pair game (ties count half)."""
    fold = np.arange(len(side)) // 2 % _FOLDS
    truth = 1.0 - 2.0 * side
    sums = _Sums.of(margin, side[..., None] == np.arange(2), fold)
    gained = np.zeros(side.shape[1])
    won = np.zeros(side.shape[1])
    for judged in range(_FOLDS):
        others = [f for f in range(_FOLDS) if f != judged]
        inner = np.concatenate(
            [
                truth[fold == f] * sums.log_odds([g for g in others if g != f], margin[fold == f])
                for f in others
            ]
        )
        slope = max(_SLOPES, key=lambda s: float(_gained(s * inner).mean()))
        mine = fold == judged
        answer = truth[mine] * sums.log_odds(others, margin[mine])
        gained += _gained(slope * answer).sum(axis=0)
        won += ((np.sign(answer) + 1) / 2).sum(axis=0)
    return gained / len(side), won / len(side)


def _by_pair(signals: Signals, side: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    parts = []
    for start in range(0, side.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        margin = signals.pairs.score[:, block, :, 0]
        # Nothing below depends on the origin of a record's margins; near 0 squares keep digits.
        parts.append(_crossed(margin - margin.mean(axis=0), side[:, block]))
    gained, won = (np.concatenate(values) for values in zip(*parts, strict=True))
    return gained, won


def _fano_bits(accuracy: float) -> float:
    """`1 - h(a)` bits for a > 1/2, else 0."""
    if accuracy <= 0.5:
        return 0.0
    return max(1.0 - float(entr(accuracy) + entr(1 - accuracy)) / LN2, 0.0)


def mapped(estimate: Estimate, rising: Callable[[float], float]) -> Estimate:
    """The estimate of a rising function of what was estimated."""
    value, low, high = (
        None if x is None else rising(x)
        for x in (estimate.value, estimate.ci_low, estimate.ci_high)
    )
    return replace(estimate, value=value, ci_low=low, ci_high=high)


def _estimates(gained: Floats, won: Floats) -> dict[tuple[str, str, str], Estimate]:
    low = LN2 - np.logaddexp(0.0, _SUREST)
    nats = mean_interval(np.clip(np.round(gained, 12), low, LN2), CONFIDENCE, (float(low), LN2))
    accuracy = mean_interval(won, CONFIDENCE, (0.0, 1.0))

    return {
        ("barber_agakov", "information", "bits"): mapped(nats, lambda x: max(x, 0.0) / LN2),
        ("fano", "information", "bits"): mapped(accuracy, _fano_bits),
        ("fano", "pair_accuracy", "probability"): accuracy,
    }


def measure_scores(
    signals: Signals, seed: int, shuffles: int = SHUFFLES
) -> tuple[list[Measurement], Floats | None]:
    """Lower bounds on I(score; U), each with its null, and the bits gained by pair `[n]`.

    With fewer than 8 models there is nothing to cross: rows are `unresolvable`, bits None.

    Raises:
        ValueError: a margin that is not finite.
    """
    if not np.isfinite(signals.pairs.score[..., 0]).all():
        bad = np.argwhere(~np.isfinite(signals.pairs.score[..., 0]).all(axis=0))[0]
        raise ValueError(f"the margin of record {tuple(int(i) for i in bad)} is not finite")
    resolvable = signals.models >= 2 * _FOLDS
    if resolvable:
        gained, won = _by_pair(signals, signals.side)
        found = _estimates(gained, won)
        rng = np.random.default_rng([seed, 0x5C0])
        null = [
            _estimates(*_by_pair(signals, shuffled(signals.side, rng))) for _ in range(shuffles)
        ]
        bits = gained / LN2
    else:
        nothing = Estimate.unresolvable(n=signals.side.shape[1])
        found = _estimates(np.zeros(1), np.zeros(1))
        found, null, bits = dict.fromkeys(found, nothing), [], None
    rows = []
    for (name, metric, unit), estimate in found.items():
        chance = [drawn[name, metric, unit].value or 0.0 for drawn in null]
        spread = Estimate.unresolvable(n=signals.side.shape[1])
        if chance:
            spread = Estimate(float(np.mean(chance)), min(chance), max(chance), n=len(chance))
        for label, value in ((metric, estimate), (f"{metric}_null", spread)):
            rows.append(
                Measurement("information", name, label, unit, value, SCORE_CHANNEL.version, "score")
            )
    return rows, bits
