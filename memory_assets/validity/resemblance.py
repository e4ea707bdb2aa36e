"""How a model answers beside the shadow models: what one more model of the pool would look like.

A record's margin is set against the mean margin of the other shadow models that had it on the same
side (in training, or not), so what remains is the model and not how hard its records are. Every
statistic is one number a model; the shadows, each left out in its turn, say how far one more model
may lie: `mean +- t s sqrt(1 + 1/K)`, a Student-t prediction interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from memory_assets.pool.signals import Signals

Floats = NDArray[np.float64]

FALSE_POSITIVES = (0.1, 0.01)
"""Nominal rates at which the share of flagged non-members is compared."""
_FEWEST_FLAGGED = 5  # non-members that a nominal rate must flag to be a number with a spread
_TINY = 1e-12


@dataclass(frozen=True)
class Statistic:
    """One number of the target, the shadows' `[K]`, and the least spread that it can have."""

    shadows: Floats
    target: float
    least: float

    def interval(self, level: float) -> tuple[float, float]:
        """Where one more shadow model would lie, with probability 1 - `level`."""
        k = len(self.shadows)
        spread = max(float(self.shadows.std(ddof=1)), self.least)
        half = float(scipy.stats.t.ppf(1 - level / 2, k - 1)) * spread * (1 + 1 / k) ** 0.5
        centre = float(self.shadows.mean())
        return centre - half, centre + half

    def side(self, level: float) -> int:
        """-1 where the target lies below the interval, 1 above it, 0 within."""
        low, high = self.interval(level)
        return int(self.target > high) - int(self.target < low)


def _last(values: Floats, alone: Floats) -> Floats:
    """One array `[K + 1]`: the shadows and then the target."""
    return np.append(values, alone)


def unseen(signals: Signals) -> tuple[Floats, Floats, int]:
    """Accuracy and log mean loss `[K]` on held-out records, or on the OUT records of the pairs."""
    if signals.held_out.correct.shape[1]:
        correct, loss = signals.held_out.correct[..., 0], signals.held_out.loss[..., 0]
    else:
        correct, loss = (
            np.where(signals.side == 1, values[:, :, 0, 0], values[:, :, 1, 0])
            for values in (signals.pairs.correct, signals.pairs.loss)
        )
    return correct.mean(axis=1), np.log(loss.mean(axis=1) + _TINY), correct.shape[1]


def member_accuracy(signals: Signals) -> Floats:
    """Share of a model's own records that it answers right, `[K]`."""
    seen = np.where(
        signals.side == 1, signals.pairs.correct[:, :, 1, 0], signals.pairs.correct[:, :, 0, 0]
    )
    return seen.mean(axis=1)


@dataclass(frozen=True)
class Margins:
    """Margins of K shadows and, last, of the target, less what the others' on that side are.

    `inside`, `outside`, `held` `[K + 1]` are means in nats; `spread_in`, `spread_out` the
    logarithms of standard deviations; `flagged` maps a nominal rate to the share of a model's
    non-members above the median of the shadows' thresholds. `gap` is how much farther a shadow's
    margin lies in than out, and `expected_in`, `expected_out` the means that the target's records
    have in the pool.
    """

    inside: Floats
    outside: Floats
    held: Floats | None
    spread_in: Floats
    spread_out: Floats
    flagged: dict[float, Floats]
    gap: float
    expected_in: float
    expected_out: float


def margins(pool: Signals, target: Signals) -> Margins | None:
    """None where the pool has too few models of a side for every pair."""
    is_in = pool.is_in
    counts = np.stack([is_in.sum(axis=0), (~is_in).sum(axis=0)])  # [2, n, 2]: in, out
    usable = (counts >= 2).all(axis=(0, 2))
    if usable.sum() < 2:
        return None
    score = pool.pairs.score[..., 0]
    sums = np.stack([np.zeros(counts.shape[1:])] * 2)
    for row, mask in zip(score, is_in, strict=True):
        sums[0] += np.where(mask, row, 0.0)
        sums[1] += np.where(mask, 0.0, row)
    pairs = np.flatnonzero(usable)

    def residual(own: Floats, side: NDArray[np.uint8], out: bool, left: int) -> tuple:
        """Own margins on a side less the others' mean, the noise's scale, and that mean."""
        column = (side.astype(np.int64) ^ int(out))[pairs]
        mine, others = own[pairs, column], counts[int(out), pairs, column] - left
        mean = (sums[int(out), pairs, column] - left * mine) / others
        return mine - mean, (mine - mean) / np.sqrt(1 + 1 / others), mean

    rows = [(score[k], pool.side[k], 1) for k in range(pool.models)]
    rows.append((target.pairs.score[0, ..., 0], target.side[0], 0))
    found: dict[str, list[float]] = {"in": [], "out": [], "spread_in": [], "spread_out": []}
    noise = np.empty((len(rows), len(pairs)), dtype=np.float32)
    expected = {}
    for number, (own, side, left) in enumerate(rows):
        for name, out in (("in", False), ("out", True)):
            raw, scaled, mean = residual(own, side, out, left)
            found[name].append(float(raw.mean()))
            found[f"spread_{name}"].append(float(np.log(scaled.std() + _TINY)))
            expected[name] = float(mean.mean())
            if out:
                noise[number] = scaled
    mean_in, mean_out = (
        total[pairs] / count[pairs] for total, count in zip(sums, counts, strict=True)
    )
    return Margins(
        np.array(found["in"]),
        np.array(found["out"]),
        _held_margins(pool, target),
        np.array(found["spread_in"]),
        np.array(found["spread_out"]),
        _flagged(noise),
        float((mean_in - mean_out).mean()),
        expected["in"],
        expected["out"],
    )


def _held_margins(pool: Signals, target: Signals) -> Floats | None:
    score = pool.held_out.score[..., 0]
    if not score.shape[1]:
        return None
    means = score.mean(axis=1)
    others = (means.sum() - means) / (len(means) - 1)
    own = float(target.held_out.score[0, :, 0].mean())
    return _last(means - others, np.array(own - means.mean()))


def _flagged(noise: NDArray[np.float32]) -> dict[float, Floats]:
    """By nominal rate the share `[K + 1]` of non-members above the shadows' median threshold."""
    found = {}
    for rate in FALSE_POSITIVES:
        if rate * noise.shape[1] < _FEWEST_FLAGGED:
            continue
        cut = np.median(np.quantile(noise[:-1], 1 - rate, axis=1))
        found[rate] = (noise > cut).mean(axis=1)
    return found


def statistics(pool: Signals, target: Signals, look: Margins | None) -> dict[str, Statistic]:
    """Everything by which the target is compared, by the name that the sentences give it."""
    accuracy, log_loss, records = unseen(pool)
    own, own_loss, _ = unseen(target)
    found = {
        "accuracy": Statistic(accuracy, float(own[0]), 0.5 / records),
        "loss": Statistic(log_loss, float(own_loss[0]), _TINY),
    }
    if look is None:
        return found

    def add(name: str, values: Floats, least: float = _TINY) -> None:
        found[name] = Statistic(values[:-1], float(values[-1]), least)

    add("members", look.inside)
    add("non_members", look.outside)
    add("gap", look.inside - look.outside)
    if look.held is not None:
        add("strangers", look.outside - look.held)
    add("spread_members", look.spread_in)
    add("spread_non_members", look.spread_out)
    n = pool.side.shape[1]
    for rate, shares in look.flagged.items():
        spread = (rate * (1 - rate) / n) ** 0.5
        add(f"flagged_{rate:g}", np.arcsin(np.sqrt(shares)), spread / (2 * (rate - rate**2) ** 0.5))
    return found
