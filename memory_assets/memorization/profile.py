"""The memorization of a pool, whole: by record, by kind, and in the few numbers of a report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_assets.memorization.gain import measure_gain
from memory_assets.memorization.influence import Influence, influence
from memory_assets.memorization.kinds import Limits, classify, measure_kinds
from memory_assets.memorization.per_record import PerRecord, measure_records, score_records
from memory_assets.pool.signals import Signals
from memory_assets.results.estimate import Measurement


@dataclass(frozen=True)
class Profile:
    """Scores and influence of each record, its kind (`[n, 2]`, names in `KINDS`), and the sums."""

    records: PerRecord
    influence: Influence
    kinds: NDArray[np.str_]
    measurements: list[Measurement]


def profile(signals: Signals, limits: Limits | None = None) -> Profile:
    """Everything this package says about the records of a pool, label channel.

    Raises:
        ValueError: no pair, fewer than two IN or OUT models for a record, or models that do not
            come in couples on opposite sides.
    """
    records = score_records(signals)
    paying = influence(signals)
    kinds = classify(records, paying, limits)
    measurements = [
        *measure_records(signals, records),
        *measure_gain(signals),
        *measure_kinds(records, paying, kinds, limits),
    ]
    return Profile(records, paying, kinds, measurements)
