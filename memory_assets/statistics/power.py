"""What a sample can show: the least leak that it would see, and the least limit it can pass.

**Minimum detectable effect** at 80% power: the smallest true value for which the lower end of the
95% interval lies above what guessing reaches in 80% of samples (Cohen 1988, "Statistical power
analysis"; for TPR at a low FPR there is no closed form, as the threshold is drawn, too). Two shapes
bound what leaks look like: `few`, a share of the members stands out from everything and the others
not at all; `all`, every member's score is shifted by the same d (binormal ROC, Phi(Phi^-1(f) + d)).

A TPR at an FPR is simulated from seeded uniform order statistics with common random numbers: 500
samples, whose interval is that of `Roc.tpr_at_fpr`; results are kept for the process. AUC is closed
form: the logit interval of the binormal AUC, its variance by Bamber (1975) and Hanley & McNeil
(1982). Other rates are exact sums of the binomial.

**Shadow models** count too. A record's reference is the mean over the K/2 models that did not train
on it, so a shift of d spreads of one model is seen as d / sqrt(1 + 2/K) (variance 1 + 2/K of the
difference). This is the least that few models cost: attacks that estimate each record's own gap
lose more. A share of records that stand out from everything loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri

from memory_assets.statistics.intervals import CONFIDENCE, clopper_pearson
from memory_assets.statistics.roc import alarms_allowed, surely_around

POWER = 0.8
"""How often an effect of the stated size would be seen."""

Shape = Literal["few", "all"]
SHAPES: tuple[Shape, ...] = ("few", "all")

_SAMPLES = 500
_STEPS = 12
_MOST = 10**8

Floats = NDArray[np.float64]


def tpr_by_shape(shape: Shape, effect: float, fpr: Floats | float) -> Floats:
    """True positive rate at `fpr`: `effect` is the share that stands out, or the shift d.

    Args:
        shape: whether a few records leak wholly or all leak a little.
        effect: the share that stands out, in [0, 1], or the shift d in standard deviations.
        fpr: in (0, 1).

    Returns:
        TPR in [0, 1], of the shape of `fpr`.

    Examples:
        >>> round(float(tpr_by_shape("few", 0.5, 0.1)), 2)
        0.55
    """
    f = np.asarray(fpr, np.float64)
    if shape == "few":
        return effect + (1 - effect) * f
    return ndtr(ndtri(np.clip(f, 1e-300, 1.0)) + effect)


def _exact(hits: NDArray[np.integer], n: int, confidence: float) -> tuple[Floats, Floats]:
    """Clopper-Pearson ends of each number of hits in n trials."""
    k, back = np.unique(hits, return_inverse=True)
    tail = (1 - confidence) / 2
    low = np.where(k == 0, 0.0, scipy.stats.beta.ppf(tail, np.maximum(k, 1), n - k + 1))
    high = np.where(k == n, 1.0, scipy.stats.beta.ppf(1 - tail, k + 1, np.maximum(n - k, 1)))
    return low[back], high[back]


def tpr_intervals(
    hits: NDArray[np.integer], members: int, others: int, fpr: float, confidence: float = CONFIDENCE
) -> tuple[Floats, Floats]:
    """The interval of `Roc.tpr_at_fpr` for many samples at once.

    `hits` `[3, S]`: members above the threshold that flags the allowed non-members, above the one
    whose true FPR surely is at most `fpr`, and above the one whose surely is at least that.
    """
    tail = (1 - confidence) / 2
    low_rank, high_rank = surely_around(fpr, others, confidence)
    alone_low, alone_high = _exact(hits[0], members, confidence)
    value, least, most = hits / members
    if low_rank == 0:
        least = least * min(1.0, fpr / (1 - tail ** (1 / others)))
    if high_rank >= others:
        most = np.ones_like(value)
    below = np.hypot(value - alone_low, np.maximum(value - least, 0.0))
    above = np.hypot(alone_high - value, np.maximum(most - value, 0.0))
    return np.maximum(0.0, value - below), np.minimum(1.0, value + above)


def _ranks(others: int, fpr: float, confidence: float) -> tuple[int, int, int]:
    """Which highest non-members the three thresholds of `tpr_intervals` are (1: the highest)."""
    low, high = surely_around(fpr, others, confidence)
    return alarms_allowed(fpr, others) + 1, max(low, 1), min(high + 1, others)


@lru_cache(maxsize=64)
def _drawn(members: int, others: int, fpr: float, confidence: float) -> tuple[Floats, Floats]:
    """True FPR above the three thresholds `[3, S]`, and uniforms `[3, S]` for the members' hits."""
    rng = np.random.default_rng([members, others, round(1e9 * fpr)])
    ranks = np.array(_ranks(others, fpr, confidence))
    order = np.argsort(ranks, kind="stable")
    steps = np.diff(np.concatenate([[0], ranks[order]]))
    waits = np.stack([rng.gamma(s, size=_SAMPLES) if s else np.zeros(_SAMPLES) for s in steps])
    sums = np.cumsum(waits, axis=0)
    whole = sums[-1] + rng.gamma(others + 1 - ranks.max(), size=_SAMPLES)
    true = np.empty((3, _SAMPLES))
    true[order] = sums / whole
    return true, rng.random((3, _SAMPLES))


def _tpr_ends(
    shape: Shape, effect: float, members: int, others: int, fpr: float, confidence: float
) -> tuple[Floats, Floats]:
    """Interval ends in 500 samples with a leak of this shape and effect."""
    true, chance = _drawn(members, others, fpr, confidence)
    order = np.argsort(true[:, 0], kind="stable")
    rates = tpr_by_shape(shape, effect, true[order])
    hits = np.empty((3, true.shape[1]), dtype=np.int64)
    before, count = np.zeros(true.shape[1]), np.zeros(true.shape[1])
    for place, row in enumerate(order):
        left = members - count
        share = (rates[place] - before) / np.maximum(1 - before, 1e-12)
        count = count + scipy.stats.binom.ppf(chance[place], left, np.clip(share, 0.0, 1.0))
        hits[row], before = count, rates[place]
    return tpr_intervals(hits, members, others, fpr, confidence)


def _resolved(others: int, fpr: float) -> bool:
    return alarms_allowed(fpr, others) >= 1


@lru_cache(maxsize=256)
def detectable_tpr(
    members: int, others: int, fpr: float, shape: Shape, models: int | None = None
) -> float | None:
    """The least true TPR at `fpr` that would be seen to exceed guessing, at 80% power.

    `models` K attenuates a shift (see above); None: a reference that is known. The answer is the
    TPR of an attacker who knows every reference. None where `others` cannot show so small an FPR,
    or nothing below 1 would be seen.

    Args:
        members: how many there are.
        others: non-members.
        fpr: in (0, 1).
        shape: whether a few records leak wholly or all leak a little.
        models: shadow models K; None where the references are known.

    Returns:
        A TPR in (fpr, 1].

    Examples:
        >>> few = detectable_tpr(500, 500, 0.1, "few")
        >>> 0.1 < few < 0.25, detectable_tpr(500, 500, 0.001, "few") is None
        (True, True)
    """
    if not _resolved(others, fpr):
        return None
    low, high = 0.0, 1.0 if shape == "few" else 12.0

    def seen(effect: float) -> bool:
        ends = _tpr_ends(shape, effect, members, others, fpr, CONFIDENCE)[0]
        return float((ends > fpr).mean()) >= POWER

    if not seen(high):
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    lost = math.sqrt(1 + 2 / models) if models and shape == "all" else 1.0
    return float(tpr_by_shape(shape, high * lost, fpr))


@lru_cache(maxsize=256)
def passable_tpr(
    members: int, others: int, fpr: float, confidence: float = CONFIDENCE
) -> float | None:
    """The least limit that a model without a leak passes in 80% of samples; None as above.

    It is the 80% quantile of the interval's upper end where attacks only guess.

    Args:
        members: how many there are.
        others: non-members.
        fpr: in (0, 1).
        confidence: of the interval that must lie below the limit.

    Returns:
        A limit on the TPR, in (fpr, 1].

    Examples:
        >>> passable_tpr(500, 500, 0.1) < passable_tpr(100, 100, 0.1)
        True
    """
    if not _resolved(others, fpr):
        return None
    ends = _tpr_ends("few", 0.0, members, others, fpr, confidence)[1]
    return float(np.quantile(ends, POWER, method="higher"))


def _auc_spread(auc: float, members: int, others: int) -> float:
    """Standard error of the binormal AUC of equal variances (Bamber 1975; exact)."""
    shift = math.sqrt(2) * float(ndtri(auc))
    nodes, weights = np.polynomial.hermite_e.hermegauss(101)
    weights = weights / weights.sum()
    kept = ndtr(nodes + shift)  # of a member at `nodes + shift`: the non-members below it
    q = float(weights @ kept**2) - auc**2
    return math.sqrt((auc * (1 - auc) + (members - 1) * q + (others - 1) * q) / (members * others))


def _auc_end(auc: float, members: int, others: int, z: float) -> float:
    half = z * _auc_spread(auc, members, others) / (auc * (1 - auc))
    return float(expit(logit(auc) + half))


def detectable_auc(members: int, others: int, models: int | None = None) -> float | None:
    """The least true AUC whose interval lies above 0.5, at 80% power; None where none below 1.

    Args:
        members: how many there are.
        others: non-members.
        models: shadow models K; None where the references are known.

    Returns:
        An AUC in (0.5, 1).

    Examples:
        >>> round(detectable_auc(1000, 1000), 3)
        0.536
    """
    z = float(ndtri((1 + CONFIDENCE) / 2) + ndtri(POWER))

    def beyond(auc: float) -> float:
        return _auc_end(auc, members, others, -z) - 0.5

    if min(members, others) < 2 or beyond(0.999) < 0:
        return None
    auc = float(scipy.optimize.brentq(beyond, 0.5 + 1e-9, 0.999))
    lost = math.sqrt(1 + 2 / models) if models else 1.0
    return float(ndtr(ndtri(auc) * lost))


def passable_auc(members: int, others: int, confidence: float = CONFIDENCE) -> float | None:
    """The least limit on an AUC that a model without a leak passes in 80% of samples.

    Args:
        members: how many there are.
        others: non-members.
        confidence: of the interval that must lie below the limit.

    Returns:
        An AUC above 0.5; None with fewer than two of a kind.

    Examples:
        >>> round(passable_auc(1000, 1000), 3)
        0.536
    """
    if min(members, others) < 2:
        return None
    return _auc_end(0.5, members, others, float(ndtri((1 + confidence) / 2) + ndtri(POWER)))


def detectable_rate(n: int) -> float:
    """The least true rate of hits that should never happen, of which one is seen at 80% power.

    Args:
        n: probes, at least 1.

    Returns:
        A rate in (0, 1).

    Examples:
        >>> round(detectable_rate(160), 3)
        0.01
    """
    return 1 - (1 - POWER) ** (1 / n)


def passable_rate(n: int, confidence: float = CONFIDENCE) -> float:
    """The least limit on a rate of hits that n probes without a hit pass.

    Args:
        n: probes, at least 1.
        confidence: of the two-sided interval, in (0, 1).

    Returns:
        A rate in (0, 1).

    Examples:
        >>> round(passable_rate(100), 3)
        0.036
    """
    return clopper_pearson(0, n, confidence)[1]


def _rate_settles(rate: float, n: int, limit: float, confidence: float) -> bool:
    """Whether n trials put a true rate on its side of a limit in 80% of samples."""
    tail = (1 - confidence) / 2
    if rate < limit:
        # The most hits whose upper end lies below the limit: P[Bin(n, limit) <= k] < tail.
        most = int(scipy.stats.binom.ppf(tail, n, limit)) - 1
        return float(scipy.stats.binom.cdf(most, n, rate)) >= POWER
    least = int(scipy.stats.binom.isf(tail, n, limit)) + 1
    return float(scipy.stats.binom.sf(least - 1, n, rate)) >= POWER


def records_for_rate(rate: float, limit: float, confidence: float, start: int = 1) -> int | None:
    """Trials that settle a true rate against a limit at 80% power; None beyond 10^8 or on it.

    Args:
        rate: the true one, in [0, 1].
        limit: that it is held against, in (0, 1).
        confidence: of the two-sided interval, in (0, 1).
        start: from which the number is looked for.

    Returns:
        The number of trials.

    Examples:
        >>> records_for_rate(0.02, 0.05, 0.95)
        312
    """
    return _least(lambda n: _rate_settles(rate, n, limit, confidence), start)


def _tpr_settles(tpr: float, n: int, fpr: float, limit: float, confidence: float) -> bool:
    if not _resolved(n, fpr):
        return False
    for shape in SHAPES:
        effect = (tpr - fpr) / (1 - fpr) if shape == "few" else float(ndtri(tpr) - ndtri(fpr))
        low, high = _tpr_ends(shape, max(effect, 0.0), n, n, fpr, confidence)
        settled = high < limit if tpr < limit else low > limit
        if float(settled.mean()) < POWER:
            return False
    return True


@lru_cache(maxsize=256)
def records_for_tpr(
    tpr: float, fpr: float, limit: float, confidence: float = CONFIDENCE, start: int = 1
) -> int | None:
    """Members, and as many non-members, that settle a TPR at an FPR at 80% power in either shape.

    A value below the FPR is taken for guessing. None beyond 100,000, or on the limit.
    """
    tpr = min(max(tpr, fpr), 1 - 1e-9)
    return _least(
        lambda n: _tpr_settles(tpr, n, fpr, limit, confidence), start, most=100_000, exact=0.02
    )


def records_by_square(n: int, half: float, distance: float) -> int:
    """Records with which an interval whose half width falls with sqrt(n) settles, at 80% power.

    `half` is the 95% half width at n, `distance` that from the value to the limit.

    Args:
        n: records that there are.
        half: half the width of the 95% interval at n, in the unit of the value.
        distance: from the value to the limit, in the same unit.

    Returns:
        The number of records.

    Examples:
        >>> records_by_square(100, half=0.1, distance=0.1)
        205
    """
    z = float(ndtri((1 + CONFIDENCE) / 2))
    return math.ceil(n * (half / distance * (z + float(ndtri(POWER))) / z) ** 2)


def _least(
    settles: Callable[[int], bool], start: int, most: int = _MOST, exact: float = 0.0
) -> int | None:
    """The least n from `start` that settles, found by doubling and halving, to a share `exact`."""
    low, high = max(start, 1), max(2 * start, 2)
    if settles(low):
        return low
    while not settles(high):
        low, high = high, 2 * high
        if high > most:
            return None
    while high - low > max(1, exact * low):
        middle = (low + high) // 2
        low, high = (low, middle) if settles(middle) else (middle, high)
    return high
