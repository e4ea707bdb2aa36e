"""BaVarIA (Brännvall 2026, arXiv:2603.11799): LiRA with a Bayesian variance, for few models.

Each side of each record has a Gaussian margin with a normal-inverse-gamma prior; its posterior
predictive is a Student t, and the score is the log ratio of the two predictives. The prior is
learned from all the records: the degrees of freedom and the scale of the variance by the moments
of log sample variances (Smyth 2004, "Linear models and empirical Bayes methods", section 6.2), the
weight of the mean by comparing the spread between records with the spread within them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln, polygamma

from memory_assets.attacks.reference import (
    VARIANCE_FLOOR,
    Floats,
    Moments,
    blocks,
    both_sides,
    empty_scores,
    is_in,
    moments,
)
from memory_assets.pool.signals import Signals

MOST_FREEDOM = 1e4
"""Where the sample variances differ by no more than chance, the prior is as good as certain."""


@dataclass(frozen=True)
class _Prior:
    """NIG prior of one side: the mean is worth `kappa` models, the variance `freedom` of them.

    In the usual letters alpha = freedom / 2 and beta = freedom * scale / 2. `[1 or T, 1, 1, Q]`.
    """

    mean: Floats
    kappa: Floats
    freedom: Floats
    scale: Floats


def _inverse_trigamma(y: Floats) -> Floats:
    """x with trigamma(x) = y > 0, by Newton's method on 1/trigamma, which is nearly linear."""
    x = 0.5 + 1 / y
    for _ in range(30):
        value = polygamma(1, x)
        x = x + value * (1 - value / y) / polygamma(2, x)
    return x


def _prior(pool: Signals, in_side: bool, leave_one_out: bool, block: int) -> _Prior:
    """Empirical Bayes over all records; a record with one model of this side tells no variance."""
    tables = _tables(pool.models)
    total = np.zeros((10, 1, 1, 1, 1))
    for b in blocks(pool.side.shape[1], block):
        side = moments(pool.pairs.score[:, b], is_in(pool, b) == in_side, leave_one_out)
        total = total + _prior_sums(side, tables)
    n, mean, mean_squared, inverse, told, freedom, squares, log_v, log_v_squared, noise = total
    if np.min(n) < 2 or np.min(told) < 2:
        raise ValueError("a prior over records needs two records with two models of each side")
    log_v, noise = log_v / told, noise / told
    spread = (log_v_squared / told - log_v**2) * told / (told - 1) - noise
    # No spread beyond chance: the variances are all one, and the prior is certain of it.
    spread = np.maximum(spread, polygamma(1, MOST_FREEDOM / 2))
    prior_freedom = 2 * _inverse_trigamma(spread)
    scale = np.exp(log_v + digamma(prior_freedom / 2) - np.log(prior_freedom / 2))
    mean, within = mean / n, squares / freedom * inverse / n
    between = (mean_squared / n - mean**2) * n / (n - 1) - within
    kappa = scale / np.maximum(between, VARIANCE_FLOOR)
    return _Prior(mean, kappa, prior_freedom, scale)


def _tables(models: int) -> tuple[Floats, Floats]:
    """Mean and variance of the log of a sample variance of n values, for n = 0 (unused) to models.

    In units of the true variance: a chi-square of f = n - 1 degrees of freedom over f.
    """
    half = np.maximum(np.arange(models + 1) - 1, 1) / 2
    return digamma(half) - np.log(half), polygamma(1, half)


def _prior_sums(side: Moments, tables: tuple[Floats, Floats]) -> Floats:
    """Ten sums over records that the prior is made of, `[10, 1 or T, 1, 1, Q]`."""
    n = side.count.astype(np.intp)
    told = n >= 2
    variance = np.maximum(side.squares / np.maximum(n - 1, 1), VARIANCE_FLOOR)
    log_v = told * (np.log(variance) - tables[0][n])
    squares = told * side.squares
    sums = (
        np.ones_like(n),
        side.mean,
        side.mean**2,
        1 / side.count,
        told,
        told * (n - 1),
        squares,
        log_v,
        log_v**2,
        told * tables[1][n],
    )
    shape = (*side.mean.shape[1:3], side.mean.shape[-1])
    return np.stack(
        [
            np.broadcast_to(x, (x.shape[0], *shape)).sum(axis=(1, 2), keepdims=True, dtype=float)
            for x in sums
        ]
    )


def _log_predictive(x: Floats, side: Moments, prior: _Prior) -> Floats:
    """Log density of the Student-t predictive after seeing the models of one side."""
    n = side.count
    kappa = prior.kappa + n
    freedom = prior.freedom + n
    mean = (prior.kappa * prior.mean + n * side.mean) / kappa
    squares = prior.freedom * prior.scale + side.squares
    squares = squares + prior.kappa * n / kappa * (side.mean - prior.mean) ** 2
    variance = np.maximum(squares / freedom, VARIANCE_FLOOR) * (kappa + 1) / kappa
    fit = np.log1p((x - mean) ** 2 / (freedom * variance))
    return _log_constant(prior, n) - 0.5 * np.log(variance) - (freedom + 1) / 2 * fit


def _log_constant(prior: _Prior, count: Floats) -> Floats:
    """The normalizing constant, worked out once for each number of models and then looked up."""
    seen, which = np.unique(count[..., 0], return_inverse=True)
    freedom = prior.freedom[:, :, 0] + seen[:, None]
    table = gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - 0.5 * np.log(freedom)
    rows = np.arange(count.shape[0], dtype=np.intp).reshape(-1, 1, 1)
    return table[rows, which.reshape(count.shape[:-1])]


def bavaria(pool: Signals, targets: Signals, leave_one_out: bool, block: int) -> Floats:
    """`log t(phi | IN models) - log t(phi | OUT models)`, phi the logit margin; mean over Q.

    Args:
        pool: shadow models, answers `[K, n, 2, Q]`.
        targets: models under audit, answers `[T, n, 2, Q]`; the pool itself under leave-one-out.
        leave_one_out: each target is a model of the pool, left out of what it is held against.
        block: pairs worked off at once; bounds memory, and changes nothing beyond rounding.

    Returns:
        Scores float64 `[T, n, 2]` in nats; higher = more likely a member.

    Examples:
        >>> from memory_assets.attacks.worked_example import auc, pool_and_target
        >>> pool, target = pool_and_target()
        >>> auc(bavaria(pool, target, False, 128), target)
        0.91
    """
    prior_in = _prior(pool, True, leave_one_out, block)
    prior_out = _prior(pool, False, leave_one_out, block)
    scores = empty_scores(targets)
    for b in blocks(targets.side.shape[1], block):
        inside, outside = both_sides(pool.pairs.score[:, b], is_in(pool, b), leave_one_out)
        x = targets.pairs.score[:, b]
        ratio = _log_predictive(x, inside, prior_in) - _log_predictive(x, outside, prior_out)
        scores[:, b] = ratio.mean(axis=-1)
    return scores
