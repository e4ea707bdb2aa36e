"""Intervals of rates and means: how far a finite sample lets the truth lie from what it shows."""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import ArrayLike

from memory_assets.results.estimate import Estimate

CONFIDENCE = 0.95
Z95 = 1.959963984540054  # half a 95% interval of a normal, in standard deviations
_MISS = 0.05  # not 1 - CONFIDENCE, whose last digit is off: what is stored would move


def clopper_pearson(k: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact two-sided interval `(low, high)` of a rate with `k` hits in `n` independent trials.

    Clopper & Pearson (1934), by quantiles of the beta distribution. It covers the truth with at
    least `confidence`, at any rate and any n.

    Args:
        k: hits, 0 to n.
        n: independent trials, at least 1.
        confidence: of the two-sided interval, in (0, 1).

    Returns:
        The ends `(low, high)`, in [0, 1].

    Raises:
        ValueError: `n` < 1, `k` outside 0..n, or `confidence` outside (0, 1).

    Examples:
        >>> low, high = clopper_pearson(0, 100)
        >>> low, round(high, 4)
        (0.0, 0.0362)
    """
    _check_confidence(confidence)
    if n < 1:
        raise ValueError(f"a rate needs n >= 1 trials, got n = {n}")
    if not 0 <= k <= n:
        raise ValueError(f"hits must lie in 0..{n}, got k = {k}")
    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else float(scipy.stats.beta.ppf(tail, k, n - k + 1))
    high = 1.0 if k == n else float(scipy.stats.beta.ppf(1 - tail, k + 1, n - k))
    return low, high


def rate(k: int, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """`k` hits in `n` independent trials as a rate with its Clopper-Pearson interval.

    Args:
        k: hits, 0 to n.
        n: independent trials, at least 1.
        confidence: of the two-sided interval, in (0, 1).

    Returns:
        The rate in [0, 1] with its interval.

    Raises:
        ValueError: as `clopper_pearson`.

    Examples:
        >>> found = rate(3, 10)
        >>> found.value, round(found.ci_low, 3), round(found.ci_high, 3)
        (0.3, 0.067, 0.652)
    """
    low, high = clopper_pearson(k, n, confidence)
    return Estimate(k / n, low, high, n=n, k=int(k))


def expected_rate(hits: float, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """A rate whose hits are a mean over lots, and so perhaps no whole number.

    The interval is Clopper & Pearson's, whose beta quantiles are defined for such hits as well and
    grow with them; of a whole number it is `rate`. `k` is the nearest whole number.

    Args:
        hits: mean number of hits, 0 to n.
        n: independent trials, at least 1.
        confidence: of the two-sided interval, in (0, 1).

    Returns:
        The rate in [0, 1] with its interval.

    Raises:
        ValueError: as `clopper_pearson`.

    Examples:
        >>> found = expected_rate(2.5, 10)
        >>> found.value, rate(2, 10).ci_low < found.ci_low < rate(3, 10).ci_low
        (0.25, True)
    """
    if hits == int(hits):
        return rate(int(hits), n, confidence)
    clopper_pearson(int(hits), n, confidence)  # checks what was given
    tail = (1 - confidence) / 2
    low = float(scipy.stats.beta.ppf(tail, hits, n - hits + 1))
    high = float(scipy.stats.beta.ppf(1 - tail, hits + 1, n - hits))
    return Estimate(hits / n, low, high, n=n, k=round(hits))


def clean_probes(rate: float) -> int:
    """Probes without a hit that show a rate of at most `rate` with 95% confidence.

    The exact form of the rule of three, about 3/rate.

    Args:
        rate: in (0, 1).

    Returns:
        The least number of probes.

    Raises:
        ValueError: a rate outside (0, 1).

    Examples:
        >>> clean_probes(0.01)
        299
    """
    if not 0 < rate < 1:
        raise ValueError(f"a rate must lie in (0, 1), got {rate}")
    # The nudge keeps a product that is a whole number from being rounded up by its last digit.
    return math.ceil(math.log(_MISS) / math.log1p(-rate) - 1e-9)


def open_rate(n: int) -> float:
    """The largest rate that `n` probes without a hit leave open, with 95% confidence.

    Args:
        n: probes, at least 1.

    Returns:
        A rate in (0, 1).

    Examples:
        >>> round(open_rate(299), 4)
        0.01
    """
    return 1 - _MISS ** (1 / n)


def mean_interval(
    values: ArrayLike,
    confidence: float = CONFIDENCE,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """Mean of `n` independent values with a Student-t interval, cut to `bounds` where these hold.

    Values that are all equal have no spread to reckon with. With `bounds` the interval then comes
    from the most that unseen values could weigh (Clopper-Pearson for 0 in n, at the far bound);
    without them it is `unresolvable`, as is a single value.

    Args:
        values: independent values `[n]`, in any unit.
        confidence: of the two-sided interval, in (0, 1).
        bounds: the ends between which every value must lie, in the same unit.

    Returns:
        The mean with its interval, in the unit of the values.

    Raises:
        ValueError: no values, a value that is not finite or outside `bounds`.

    Examples:
        >>> found = mean_interval([1.0, 2.0, 3.0, 4.0])
        >>> found.value, round(found.ci_low, 2), round(found.ci_high, 2)
        (2.5, 0.45, 4.55)
    """
    _check_confidence(confidence)
    x = np.asarray(values, dtype=np.float64).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("a mean needs at least one value, and all of them finite")
    if bounds is not None and not (bounds[0] <= x.min() and x.max() <= bounds[1]):
        raise ValueError(f"values must lie in {bounds}, got {x.min()} to {x.max()}")
    mean = float(x.mean())
    if bounds is not None and x.min() == x.max():
        unseen = clopper_pearson(0, x.size, confidence)[1]
        low, high = mean - unseen * (mean - bounds[0]), mean + unseen * (bounds[1] - mean)
        return Estimate(mean, low, high, n=x.size)
    if x.min() == x.max():
        return Estimate(mean, None, None, n=x.size, status="unresolvable")
    half = float(scipy.stats.t.ppf((1 + confidence) / 2, x.size - 1) * scipy.stats.sem(x))
    low, high = mean - half, mean + half
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Estimate(mean, low, high, n=x.size)


def skewed_mean_interval(
    values: ArrayLike,
    confidence: float = CONFIDENCE,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """As `mean_interval`, for values with a long tail on one side, such as bits.

    Student's quantiles are carried back through a cubic that takes the sample's skewness out of
    the statistic (Hall 1992, "On the removal of skewness by transformation"). Of 10 exponential
    values it covers the mean in 95% of samples; Student's interval in 90%, too short on the long
    side.

    Args:
        values: independent values `[n]`, in any unit.
        confidence: of the two-sided interval, in (0, 1).
        bounds: the ends between which every value must lie, in the same unit.

    Returns:
        The mean with its interval, which reaches farther on the long side.

    Examples:
        >>> found = skewed_mean_interval([0.1, 0.2, 0.3, 4.0])
        >>> found.ci_high - found.value > found.value - found.ci_low
        True
    """
    plain = mean_interval(values, confidence, bounds)
    x = np.asarray(values, dtype=np.float64).ravel()
    n = x.size
    if plain.value is None or n < 3 or np.ptp(x) == 0:
        return plain
    skew = float(scipy.stats.skew(x, bias=False))
    if abs(skew) < 1e-6:
        return plain
    end = float(scipy.stats.t.ppf((1 + confidence) / 2, n - 1)) / n**0.5

    def back(y: float) -> float:
        return float(3 / skew * (np.cbrt(1 + skew * (y - skew / (6 * n))) - 1))

    spread = float(x.std(ddof=1))
    low, high = plain.value - spread * back(end), plain.value - spread * back(-end)
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Estimate(plain.value, low, high, n=n)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), got {confidence}")
