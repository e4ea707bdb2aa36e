"""Influence of a trained-on record on held-out records: which memorized records pay.

Feldman and Zhang (2020), eq. 2: `infl(r, j) = P[correct on j | r IN] - P[correct on j | r OUT]`.
In a pool of pairs a model without r trained on r's partner instead, so the influence found here is
what r does *beyond the record that stands in its place*; partners are drawn by lot, and what one
side of a pair gains the other loses.

All records are tested against all held-out records in blocks, so memory stays bounded, and the
false discovery rate over all of these tests is kept at 5% (Benjamini and Hochberg, 1995). Their
p-values take few distinct values, which are counted first: the step-up rule needs no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from memory_assets.memorization.complementary_pairs import couple_signs
from memory_assets.memorization.evaluation import LEVEL, Evaluation, Signs, evaluation
from memory_assets.pool.signals import Signals
from memory_assets.results.formulas import INFLUENCE
from memory_assets.statistics.intervals import CONFIDENCE, clopper_pearson

_BLOCK_CELLS = 4_000_000
"""Record x held-out cells worked off at once: some 100 MB."""


@dataclass(frozen=True)
class Influence:
    """Influence on held-out data by record, arrays `[n, 2]` over (pair, side), all finite.

    `mean` is the change in held-out accuracy when a model trains on the record and not on its
    partner, with the 95% interval `low`, `high` (couples of models as units); `clear` tells where
    it stands above 0 with a false discovery rate of 5% over the records. `helped` counts the
    held-out records that the record clearly helps, at that rate over all `tests`.

    `surely_high` and `surely_pays` hold for all records at once (Bonferroni): the upper end of each
    mean, and whether the record helps, on the whole or a single held-out record.
    """

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    clear: NDArray[np.bool_]
    helped: NDArray[np.int64]
    tests: int
    surely_high: NDArray[np.float64]
    surely_pays: NDArray[np.bool_]


def step_up(p_values: NDArray[np.float64], counts: NDArray[np.int64], level: float) -> float:
    """Largest p-value that Benjamini and Hochberg reject, -1 if none; `counts` of each p-value."""
    order = np.argsort(p_values)
    p, upto = p_values[order], counts[order].cumsum()
    rejected = np.flatnonzero((p * max(int(upto[-1]), 1) <= level * upto) & (counts[order] > 0))
    return float(p[rejected[-1]]) if len(rejected) else -1.0


def _blocks(found: Evaluation, signs: Signs) -> Iterator[tuple[slice, tuple]]:
    size = max(1, _BLOCK_CELLS // max(found.evaluated, 1))
    for start in range(0, signs.shape[1], size):
        block = slice(start, start + size)
        yield block, found.codes(signs[:, block])


def _helped(found: Evaluation, signs: Signs) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """How many held-out records each record clearly helps, and whether surely one, `[n, 2]`."""
    helped = np.zeros((signs.shape[1], 2), dtype=np.int64)
    surely = np.zeros(helped.shape, dtype=np.bool_)
    if not found.evaluated:
        return helped, surely
    counts = np.zeros(len(found.p_values), dtype=np.int64)
    for _, sides in _blocks(found, signs):
        for codes in sides:
            counts += np.bincount(codes.ravel(), minlength=len(counts))
    rejected = found.p_values <= step_up(found.p_values, counts, LEVEL)
    beyond_doubt = found.p_values <= LEVEL / max(int(counts.sum()), 1)
    if rejected.any():
        for block, sides in _blocks(found, signs):
            for side, codes in enumerate(sides):
                helped[block, side] = rejected[codes].sum(axis=1)
                surely[block, side] = beyond_doubt[codes].any(axis=1)
    return helped, surely


@INFLUENCE.computes
def influence(signals: Signals) -> Influence:
    """Influence of every record of the pool on the held-out records.

    Where no record is held out, the records of other pairs serve through the models that did not
    train on them.

    Raises:
        ValueError: no pair, fewer than two IN or OUT models, or models that are not in couples.
    """
    signs = couple_signs(signals)
    found = evaluation(signals, signs)
    couples = len(signs)
    change = found.accuracy[:, 0] - found.accuracy[:, 1]
    mean = (change @ signs) / couples
    variance = ((change @ change) / couples - mean**2) / (couples - 1)
    spread = variance > 1e-12
    error = np.sqrt(np.where(spread, variance, 1.0))

    def reach(confidence: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How far the truth may lie above and below the mean `[n]`."""
        half = scipy.stats.t.ppf((1 + confidence) / 2, couples - 1) * error
        # Couples that all agree show no spread: then as much is allowed as they may have left
        # unseen.
        unseen = clopper_pearson(0, couples, confidence)[1]
        above = np.where(spread, half, unseen * (1 - mean))
        return above, np.where(spread, half, unseen * (1 + mean))

    above, below = reach(CONFIDENCE)
    p = np.where(spread, scipy.stats.t.sf(mean / error, couples - 1), 1.0)
    p = np.stack([p, np.where(spread, 1 - p, 1.0)], axis=1)
    most_above, most_below = reach(1 - (1 - CONFIDENCE) / p.size)
    helped, surely_helps = _helped(found, signs)
    return Influence(
        mean=np.stack([mean, -mean], axis=1),
        low=np.maximum(np.stack([mean - below, -mean - above], axis=1), -1.0),
        high=np.minimum(np.stack([mean + above, -mean + below], axis=1), 1.0),
        clear=p <= step_up(p.ravel(), np.ones(p.size, dtype=np.int64), LEVEL),
        helped=helped,
        tests=2 * signs.shape[1] * found.evaluated,
        surely_high=np.minimum(np.stack([mean + most_above, -mean + most_below], axis=1), 1.0),
        surely_pays=surely_helps | (p <= LEVEL / p.size),
    )
