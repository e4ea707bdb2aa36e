"""Can scores or features tell members from non-members? Tests that are exact by relabelling.

If both come from one source, any labels that could have been drawn are as likely as the true ones:
within a pair the member may be either record; without pairs, any records of a fold. A statistic of
the true labels is set against the same statistic of such labels, so no formula for its spread is
needed. Of several statistics the least p-value is taken, and its own distribution comes from the
same relabelling (Westfall and Young 1993, "Resampling-based multiple testing", min-p).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from memory_assets.statistics.roc import alarms_allowed

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]
"""`[B, N]`: True for a member. Row 0 holds the true labels, the others are as likely by chance."""

RELABELLED = 999
_ROUNDING = 1e-2
"""A column whose sums spread less holds one value: what is left is rounding."""


def relabel_pairs(side: NDArray[np.integer], seed: int, times: int = RELABELLED) -> Labels:
    """Labels of the records of n pairs `[times + 1, 2n]`: in each, members and others exchanged."""
    rng = np.random.default_rng([seed, 0xE8C])
    turned = rng.integers(0, 2, (times + 1, len(side)), dtype=np.int8)
    turned[0] = 0
    member = (np.asarray(side, np.int8) ^ turned)[..., None] == np.arange(2)
    return member.reshape(times + 1, -1)


def relabel_within(
    member: NDArray[np.bool_], fold: NDArray[np.integer], seed: int, times: int = RELABELLED
) -> Labels:
    """Labels `[times + 1, N]` of unpaired records, permuted within each fold."""
    rng = np.random.default_rng([seed, 0xE8C])
    labels = np.repeat(member[None], times + 1, axis=0)
    for f in np.unique(fold):
        rows = np.flatnonzero(fold == f)
        labels[1:, rows] = rng.permuted(labels[1:, rows], axis=1)
    return labels


def aucs(scores: Floats, labels: Labels) -> Floats:
    """AUC of scores `[N]` by each row of labels `[B]`, ties counting half."""
    members = int(labels[0].sum())
    others = labels.shape[1] - members
    above = labels @ scipy.stats.rankdata(scores) - members * (members + 1) / 2
    return above / (members * others)


def hit_rates(scores: Floats, labels: Labels, fprs: tuple[float, ...], seed: int) -> Floats:
    """TPR at each nominal FPR by each row of labels, `[B, len(fprs)]`; ties are broken by lot."""
    lot = np.random.default_rng([seed, 0x71E]).random(len(scores))
    order = np.lexsort((lot, -scores))
    ranked = labels[:, order]
    members = int(labels[0].sum())
    others = labels.shape[1] - members
    alarms = np.cumsum(~ranked, axis=1, dtype=np.int32)
    found = np.empty((len(labels), len(fprs)))
    for column, fpr in enumerate(fprs):
        allowed = alarms_allowed(fpr, others)
        kept = (alarms <= allowed).sum(axis=1)  # alarms do not fall: these are the first records
        found[:, column] = (kept - np.minimum(alarms[:, -1], allowed)) / members
    return found


def p_values(statistics: Floats) -> Floats:
    """For every row of `[B, m]` and statistic: the share of rows at least as large, `[B, m]`."""
    b = len(statistics)
    rank = np.empty_like(statistics)
    for column, values in enumerate(statistics.T):
        ordered = np.sort(values)
        rank[:, column] = b - np.searchsorted(ordered, values, side="left")
    return rank / b


@dataclass(frozen=True)
class Told:
    """What a judge's scores tell: AUC with its interval under relabelling, TPR by nominal FPR.

    `p` is exact for AUC and rates together: the chance that labels drawn by lot look as telling.
    """

    auc: float
    half: float
    rates: dict[float, float]
    p: float


def told_by(
    scores: Floats, labels: Labels, fprs: tuple[float, ...], level: float, seed: int
) -> Told:
    """Judge scores `[N]` that were made without these records' labels."""
    return told_of(aucs(scores, labels), hit_rates(scores, labels, fprs, seed), fprs, level)


def told_of(areas: Floats, rates: Floats, fprs: tuple[float, ...], level: float) -> Told:
    """What the AUC `[B]` and the TPR `[B, len(fprs)]` by each row of labels tell."""
    each = p_values(np.column_stack([areas, rates])).min(axis=1)
    half = float(np.quantile(np.abs(areas - 0.5), 1 - level, method="higher"))
    p = float((each <= each[0]).mean())
    return Told(float(areas[0]), half, dict(zip(fprs, rates[0].tolist(), strict=True)), p)


def _apart(features: Any, labels: Labels, chunk: int) -> tuple[Floats, int]:
    """Over the columns: the largest scaled difference by each row of labels, and whose it is."""
    sign = np.where(labels, 1.0, -1.0).astype(np.float32)
    sign -= sign.mean(axis=1, keepdims=True)
    largest, best, own = np.zeros(len(labels)), 0, 0.0
    for start in range(0, features.shape[1], chunk):
        part = features[:, start : start + chunk]
        # Any: what `issparse` narrows to is a class without operators.
        turned: Any = part.T
        difference = np.asarray((turned @ sign.T).T if scipy.sparse.issparse(part) else sign @ part)
        spread = np.sqrt((difference**2).mean(axis=0))
        scaled = np.abs(difference) / np.where(spread > _ROUNDING, spread, np.inf)
        if scaled[0].max(initial=0.0) > own:
            best, own = start + int(scaled[0].argmax()), float(scaled[0].max())
        np.maximum(largest, scaled.max(axis=1, initial=0.0), out=largest)
    return largest, best


def columns_apart(features: Any, labels: Labels, chunk: int = 2_000) -> tuple[float, int]:
    """Exact p-value that some column of features `[N, d]` tells the sides apart, and which (max-T).

    `features` may be a scipy sparse matrix. The statistic of a column is the difference of its
    means in units of the spread that relabelling gives it.
    """
    largest, best = _apart(features, labels, chunk)
    return float((largest >= largest[0] * (1 - 1e-6)).mean()), best
