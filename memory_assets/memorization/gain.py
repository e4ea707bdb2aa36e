"""What memorized records bring on held-out data, as one number with an interval.

Within a couple one model trained on more of the memorized records than the other, by lot. The
regression of the difference in held-out accuracy on that difference in number, through the origin,
gives the gain of one memorized record over the one in its place; couples are the units.

Which records count as memorized must not be decided on the models that show the gain: a model that
happened to learn well would enter both. So each half of the couples is judged by the records that
the *other* half calls memorized (cross-fitting).
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from memory_assets.memorization.complementary_pairs import couple_signs
from memory_assets.memorization.evaluation import evaluation
from memory_assets.memorization.per_record import MEMORIZED, score_records
from memory_assets.pool.signals import Signals
from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.results.formulas import GAIN, PER_RECORD, together
from memory_assets.statistics.intervals import CONFIDENCE, mean_interval


def _regression(x: NDArray, y: NDArray) -> tuple[float, float]:
    """Slope through the origin and its standard error."""
    slope = float(x @ y / (x @ x))
    residual = y - slope * x
    return slope, float(np.sqrt(residual @ residual / (len(x) - 1) / (x @ x)))


def measure_gain(signals: Signals) -> list[Measurement]:
    """Held-out accuracy, and what the memorized records add to it.

    `held_out_gain_per_record` is the accuracy that one memorized record adds over the record that
    stands in its place; `held_out_gain` that times the mean number of records, over the two halves
    of the pool, that a half calls memorized and whose partner it does not: so all of these
    together, if their gains add up. Half of the models call fewer records memorized than the whole
    pool does. Both are `unresolvable` with fewer than 8 models, with no memorized record, or where
    held-out accuracy never changes. n counts couples.

    Raises:
        ValueError: no pair, fewer than two IN or OUT models, or models that are not in couples.
    """
    signs = couple_signs(signals)
    couples = len(signs)
    found: dict[str, Estimate] = {}
    if signals.held_out.correct.shape[1]:
        accuracy = evaluation(signals, signs).accuracy.mean(axis=1)
        found["held_out_accuracy"] = mean_interval(accuracy, bounds=(0.0, 1.0))
    found |= dict.fromkeys(
        ("held_out_gain_per_record", "held_out_gain"), Estimate.unresolvable(n=couples)
    )
    cut = 2 * (couples // 2)
    halves = (slice(0, cut), slice(cut, None))
    if couples >= 4:
        more, change, records = [], [], []
        for judged, chosen in (halves, halves[::-1]):
            half = signals.of_models(judged)
            in_half = couple_signs(half)
            memorized = score_records(signals.of_models(chosen)).low > MEMORIZED
            one_of_pair = memorized[:, 0].astype(np.float64) - memorized[:, 1]
            accuracy = evaluation(half, in_half).accuracy
            more.append(in_half @ one_of_pair)
            change.append(accuracy[:, 0] - accuracy[:, 1])
            records.append(np.abs(one_of_pair).sum())
        x, y = np.concatenate(more), np.concatenate(change)
        if x.any() and np.ptp(np.abs(y)) > 1e-12:
            slope, error = _regression(x, y)
            half_width = float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, couples - 1)) * error
            for name, scale in (
                ("held_out_gain_per_record", 1.0),
                ("held_out_gain", float(np.mean(records))),
            ):
                value, width = slope * scale, half_width * scale
                found[name] = Estimate(value, value - width, value + width, n=couples)
    version = together(GAIN.version, PER_RECORD.version)
    return [
        Measurement("memorization", "gain", metric, "probability", estimate, version)
        for metric, estimate in found.items()
    ]
