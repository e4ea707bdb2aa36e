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
from memory_assets.memorization.per_record import MEMORIZED, PerRecord
from memory_assets.statistics.estimate import Estimate, Measurement
from memory_assets.statistics.intervals import CONFIDENCE

FORMULA_VERSION = 1
KINDS = ("useful memorization", "pure leakage", "generalized", "hard", "undecided")


@dataclass(frozen=True)
class Limits:
    """Where the lines are drawn: `memorized` on the score of a record, `gain` on held-out accuracy.

    A record whose influence surely stays below `gain` (a hundredth: one held-out answer in 100)
    and that clearly helps no single held-out record is said not to pay.
    """

    memorized: float = MEMORIZED
    gain: float = 0.01


def classify(
    records: PerRecord, influence: Influence, limits: Limits | None = None
) -> NDArray[np.str_]:
    """The kind of every record, one of `KINDS`, `[n, 2]`."""
    limits = limits or Limits()
    memorized = records.low > limits.memorized
    not_memorized = records.high < limits.memorized
    pays = influence.clear | (influence.helped > 0)
    pays_not = ~pays & (influence.high < limits.gain)
    # Wilson's interval of the OUT rate lies above one half iff its score test rejects one half.
    half = scipy.stats.norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(records.count_out) / 2
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


def measure_kinds(kinds: NDArray[np.str_]) -> list[Measurement]:
    """Share of the records of each kind, k of n.

    The interval runs from the records placed there to those together with all undecided ones: what
    a larger pool could still move. The share of undecided ones itself runs from 0.
    """
    n, undecided = kinds.size, int((kinds == KINDS[4]).sum())
    found = []
    for kind in KINDS:
        k = int((kinds == kind).sum())
        low, high = (0, k) if kind == KINDS[4] else (k, k + undecided)
        found.append(
            Measurement(
                "memorization",
                "kinds",
                f"share_{kind.replace(' ', '_')}",
                "probability",
                Estimate(k / n, low / n, high / n, n=n, k=k),
                FORMULA_VERSION,
            )
        )
    return found
