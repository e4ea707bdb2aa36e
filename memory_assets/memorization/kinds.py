"""Four kinds of records: memorization that pays, that only leaks, and records not memorized.

A record is placed only where its intervals say so, never by a point estimate:

- `useful memorization`: memorized, and clearly helps held-out data;
- `pure leakage`: memorized, helps no held-out record clearly, and its whole interval of mean
  influence lies below what an owner would call a gain;
- `generalized`: not memorized, and answered correctly by most models that never saw it;
- `hard`: not memorized, and answered wrongly by most models that never saw it;
- `undecided`: this pool cannot tell; more models can.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from memory_assets.memorization.influence import Influence
from memory_assets.memorization.per_record import MEMORIZED, PerRecord, bounds_of_all
from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.results.formulas import INFLUENCE, PER_RECORD, RECORD_KINDS, together
from memory_assets.statistics.intervals import CONFIDENCE

KINDS = ("useful memorization", "pure leakage", "generalized", "hard", "undecided")


@dataclass(frozen=True)
class Limits:
    """Where the lines are drawn: `memorized` on the score of a record, `gain` on held-out accuracy.

    A record whose influence surely stays below `gain` (a hundredth: one held-out answer in 100)
    and that clearly helps no single held-out record is said not to pay.
    """

    memorized: float = MEMORIZED
    gain: float = 0.01


def _place(
    records: PerRecord,
    memorization: tuple[NDArray[np.float64], NDArray[np.float64]],
    pays: NDArray[np.bool_],
    pays_not: NDArray[np.bool_],
    confidence: float,
    limits: Limits,
) -> NDArray[np.str_]:
    low, high = memorization
    memorized, not_memorized = low > limits.memorized, high < limits.memorized
    # Wilson's interval of the OUT rate lies above one half iff its score test rejects one half.
    half = scipy.stats.norm.ppf((1 + confidence) / 2) * np.sqrt(records.count_out) / 2
    above_half = records.correct_out - records.count_out / 2
    known, unknown = above_half > half, above_half < -half
    return np.select(
        [
            memorized & pays,
            memorized & pays_not,
            not_memorized & known,
            not_memorized & unknown,
        ],
        KINDS[:4],
        default=KINDS[4],
    )


def _seems_to_pay(influence: Influence) -> NDArray[np.bool_]:
    return influence.clear | (influence.helped > 0)


@RECORD_KINDS.computes
def classify(
    records: PerRecord, influence: Influence, limits: Limits | None = None
) -> NDArray[np.str_]:
    """The kind of every record by its own intervals, one of `KINDS`, `[n, 2]`."""
    limits = limits or Limits()
    pays = _seems_to_pay(influence)
    pays_not = ~pays & (influence.high < limits.gain)
    own = records.low, records.high
    return _place(records, own, pays, pays_not, CONFIDENCE, limits)


def _surely(
    records: PerRecord, influence: Influence, kinds: NDArray[np.str_], limits: Limits
) -> NDArray[np.str_]:
    """The kinds that hold for all records at once; whatever may be another is undecided."""
    pays_not = ~_seems_to_pay(influence) & (influence.surely_high < limits.gain)
    level = 1 - (1 - CONFIDENCE) / records.records
    every = bounds_of_all(records)
    found = _place(records, every, influence.surely_pays, pays_not, level, limits)
    return np.where(found == kinds, found, KINDS[4])


def measure_kinds(
    records: PerRecord,
    influence: Influence,
    kinds: NDArray[np.str_],
    limits: Limits | None = None,
) -> list[Measurement]:
    """Share of the records of each kind, k of n, of records that `classify` placed in `kinds`.

    The interval runs from the records that surely are of the kind, all records asked at once, to
    all but those that surely are of another. The share of undecided ones runs from 0: a larger
    pool could place them all.
    """
    n, sure = kinds.size, _surely(records, influence, kinds, limits or Limits())
    decided = int((sure != KINDS[4]).sum())
    version = together(RECORD_KINDS.version, PER_RECORD.version, INFLUENCE.version)
    found = []
    for kind in KINDS:
        k, surely = int((kinds == kind).sum()), int((sure == kind).sum())
        low, high = (0, k) if kind == KINDS[4] else (surely, n - (decided - surely))
        found.append(
            Measurement(
                "memorization",
                "kinds",
                f"share_{kind.replace(' ', '_')}",
                "probability",
                Estimate(k / n, low / n, high / n, n=n, k=k),
                version,
            )
        )
    return found
