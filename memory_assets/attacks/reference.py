"""What the pool says of each record: the statistics of its IN and OUT sides that attacks read.

With `leave_one_out` the pool is its own set of targets. Model t is then taken out of the
statistics of the one side of each record that it belongs to, for all targets at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_assets.pool.signals import Signals

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BLOCK = 128
"""Records are worked off in blocks of this many pairs: at 256 models an array then takes half a
megabyte and stays in the cache, which is worth more than fewer blocks."""

VARIANCE_FLOOR = 1e-6
"""Of a logit margin, nats squared: no model answers more steadily than a thousandth of a nat."""

PROBABILITY_FLOOR = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Moments:
    """One side of every record: `count`, `mean` and sum of squared deviations `squares`.

    Shape `[1 or T, b, 2, Q]`, `count` with Q = 1; the first axis is T under leave-one-out.
    """

    count: Floats
    mean: Floats
    squares: Floats

    @property
    def variance(self) -> Floats:
        """Unbiased (n - 1), floored; needs two models a side."""
        return np.maximum(self.squares / (self.count - 1), VARIANCE_FLOOR)


def blocks(pairs: int, size: int = BLOCK) -> Iterator[slice]:
    """Cut the axis of pairs into consecutive slices of at most `size`."""
    if size < 1:
        raise ValueError(f"a block holds at least one pair, got {size}")
    for start in range(0, pairs, size):
        yield slice(start, min(start + size, pairs))


def empty_scores(targets: Signals) -> Floats:
    """Room for the scores of all targets, `[T, n, 2]`."""
    return np.empty((*targets.side.shape, 2))


def is_in(signals: Signals, b: slice) -> Bools:
    """Which records of a block each model trained on, `[K, b, 2]`."""
    return signals.side[:, b, None] == np.arange(2, dtype=np.uint8)


def moments(values: Floats, belongs: Bools, leave_one_out: bool) -> Moments:
    """Moments over the models of a side; `values` `[K, b, 2, Q]`, `belongs` `[K, b, 2]`.

    Taking x out of n values with mean m leaves the mean `m - (x-m)/(n-1)` and the squares
    `S - (x-m)^2 n/(n-1)` (Welford, 1962, run backwards).
    """
    weight = belongs[..., None].astype(np.float64)
    count = weight.sum(axis=0)
    mean = np.einsum("kbsq,kbsr->bsq", values, weight) / count
    off = values - mean
    off *= weight
    squares = np.einsum("kbsq,kbsq->bsq", off, off)
    if not leave_one_out:
        return Moments(count[None], mean[None], squares[None])
    rest = np.maximum(count - 1, 1)
    left_squares = off * off
    left_squares *= -count / rest
    left_squares += squares
    np.maximum(left_squares, 0, out=left_squares)
    off /= -rest
    off += mean
    return Moments(count - weight, off, left_squares)


def both_sides(values: Floats, inside: Bools, leave_one_out: bool) -> tuple[Moments, Moments]:
    """`moments` of the IN side and of the OUT side."""
    return moments(values, inside, leave_one_out), moments(values, ~inside, leave_one_out)


def mean_probability(p: Floats, belongs: Bools, leave_one_out: bool) -> Floats:
    """Mean of `p` `[K, b, 2, Q]` over the models that belong, `[1 or T, b, 2, Q]`, never below 0.

    Under leave-one-out the others are summed from both ends. Subtracting the target from the
    total would lose them where it is the only model that is sure of the record.
    """
    weight = belongs[..., None].astype(np.float64)
    x = p * weight
    count = weight.sum(axis=0)
    if not leave_one_out:
        return np.maximum(x.sum(axis=0) / count, PROBABILITY_FLOOR)[None]
    total = np.zeros_like(x)
    np.cumsum(x[:-1], axis=0, out=total[1:])
    after = np.zeros_like(x[0])
    for k in range(x.shape[0] - 2, -1, -1):
        after += x[k + 1]
        total[k] += after
    total /= count - weight
    return np.maximum(total, PROBABILITY_FLOOR, out=total)


def check_pool(
    pool: Signals,
    targets: Signals,
    sides: tuple[bool, ...],
    fewest: int,
    leave_one_out: bool,
) -> None:
    """Hold pool and targets against what an attack needs before anything is computed.

    `sides` lists the sides it reads (True: IN). A record needs two models on each, or under
    leave-one-out `fewest` besides the target.

    Raises:
        ValueError: shapes that do not match, signals that are not finite, too few models.
    """
    if pool.side.shape[1] == 0:
        raise ValueError("there is no pair of records to score")
    if pool.pairs.score.shape[1:] != targets.pairs.score.shape[1:]:
        raise ValueError(
            f"pool and targets answer about different records or queries: "
            f"{pool.pairs.score.shape[1:]} and {targets.pairs.score.shape[1:]} [pairs, 2, queries]"
        )
    if leave_one_out and pool.models != targets.models:
        raise ValueError(
            f"leave-one-out scores the pool against itself: got {targets.models} targets "
            f"for {pool.models} models"
        )
    for name, signals in (("pool", pool), ("target", targets)):
        for field in ("score", "p_true", "loss"):
            check_finite(getattr(signals.pairs, field), f"{field} of the {name}")
    least = fewest if leave_one_out else max(2, fewest)
    inside = models_inside(pool)
    for wanted_in in sides:
        count = inside if wanted_in else pool.models - inside
        few = count - leave_one_out < least
        if few.any():
            raise ValueError(
                f"too few {'IN' if wanted_in else 'OUT'} models: {least} needed"
                f"{' besides the target' if leave_one_out else ''}, {int(count.min())} found at "
                f"{_name_records(few)}; train more shadow models"
            )


def models_inside(pool: Signals) -> NDArray[np.intp]:
    """How many models of the pool trained on each record, `[n, 2]`."""
    on_side_one = np.count_nonzero(pool.side, axis=0)
    return np.stack([pool.models - on_side_one, on_side_one], axis=1)


def check_finite(values: NDArray[np.floating], what: str) -> None:
    """Refuse NaN and infinity in `[models, pairs, 2, ...]`, naming the records by position."""
    bad = np.zeros(values.shape[1:3], dtype=bool)
    for b in blocks(values.shape[1]):
        bad[b] = ~np.isfinite(values[:, b]).all(axis=(0, *range(3, values.ndim)))
    if bad.any():
        raise ValueError(f"the {what} is not finite at {_name_records(bad)}")


def _name_records(bad: Bools, show: int = 5) -> str:
    places = [f"({int(pair)}, {int(side)})" for pair, side in np.argwhere(bad)]
    more = f" and {len(places) - show} more" if len(places) > show else ""
    return f"record (pair, side) {', '.join(places[:show])}{more}"
