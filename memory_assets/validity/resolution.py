"""Resolution: is the sample large enough for the rates that the gate speaks of?

No hit in n probes only bounds a rate by about 3/n (exactly `1 - 0.05^(1/n)` with 95% confidence):
299 clean probes for 1%, 2,995 for 0.1%. And a false-positive rate below 1/n cannot be seen in n
non-members at all.

This is the least for a gate to be asked, and no promise of a pass. A gate reads the upper end of
the two-sided 95% interval, `1 - 0.025^(1/n)` of a clean sample: at 1%, 299 clean probes are
inconclusive and 368 pass; at 0.1% it takes 3,688.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from memory_assets.results.estimate import Control, Measurement
from memory_assets.results.findings import finding
from memory_assets.statistics.intervals import clean_probes, open_rate
from memory_assets.validity.verdict import Gate, as_at_most, gated


def resolution(measurements: Sequence[Measurement], gate: Gate) -> Control:
    """Every gated rate must be resolvable with the records at hand.

    The value is the largest rate that a clean sample would still leave open, over the gated
    metrics; metrics that are no rates (an AUC, an epsilon) ask for nothing here, nor does one that
    an attack exceeds with its whole interval.

    Raises:
        InputError: a gated metric that was not measured.
    """
    short, open_rates, smallest, settled = [], [], math.inf, False
    for metric, threshold in gate.thresholds.items():
        rows = [as_at_most(metric, m.estimate, threshold) for m in gated(measurements, metric)]
        if any((estimate.ci_low or 0.0) > most for estimate, most in rows):
            settled = True  # what lies beyond the limit already needs no more records
            continue
        for estimate, most in rows:
            if estimate.status == "unresolvable":
                short.append(finding("shortage.unseen", metric=metric, records=estimate.n))
                break
            if estimate.k is None or not 0 < most < 1:
                continue
            open_rates.append(open_rate(estimate.n))
            smallest = min(smallest, estimate.n)
            if estimate.n < (needed := clean_probes(most)):
                there = {"needed": needed, "records": estimate.n}
                short.append(finding("shortage.needs", metric=metric, limit=threshold, **there))
                break
    value = max(open_rates, default=None)
    if short:
        detail = finding("resolution.short", shortage=short)
    elif value is None:
        detail = finding("resolution.settled" if settled else "resolution.no_rate")
    else:
        detail = finding("resolution.enough", records=smallest, rate=value)
    return Control("resolution", not short, value, None, None, (detail,))
