"""Blind baseline: without the model, members and non-members must not be told apart.

If they can be, the two sets differ by themselves (another source, another month), and an attack
that notices the difference needs no leak to succeed. A kernel ridge classifier sees the records
alone: linear kernel for shifts of a mean, Gaussian for other shapes; both records of a pair lie in
the same of five folds.

The AUC of a cross-validated classifier that learned nothing scatters more than DeLong's formula
says, as every record helps to judge the others (false alarms at 1%: 7% in simulation). Ridge
predictions are linear in the labels, so relabelling costs one product: the interval comes from the
AUC under random exchange of member and non-member within pairs, which is exact.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import pdist, squareform

from memory_assets.controls.scoring import FAMILY_LEVEL
from memory_assets.statistics.estimate import Control

FOLDS = 5
_MOST_PAIRS = 1_000
_MOST_FEATURES = 64
_FEWEST_PAIRS = 20
EXCHANGES = 499
_RIDGE = 1.0


def _features(x: NDArray, y: NDArray | None, seed: int) -> NDArray[np.float64]:
    """Records `[2n, d]` with at most 64 columns, the labels appended one-hot."""
    from sklearn.decomposition import PCA

    flat = x.reshape(len(x) * 2, -1).astype(np.float64)
    flat = flat[:, np.ptp(flat, axis=0) > 0]
    if flat.shape[1] > _MOST_FEATURES:
        rank = min(_MOST_FEATURES, len(flat) - 1)
        flat = PCA(rank, svd_solver="randomized", random_state=seed).fit_transform(flat)
    if y is not None:
        labels = y.reshape(-1)
        flat = np.concatenate([flat, labels[:, None] == np.unique(labels)], axis=1)
    return flat


def _kernel(features: NDArray) -> NDArray[np.float64]:
    """Likeness of all records `[2n, d]`: of shape (Gaussian) and of direction (linear)."""
    spread = features.std(axis=0)
    x = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    distance = squareform(pdist(x, "sqeuclidean"))
    typical = max(float(np.median(distance)), 1e-12)
    return np.exp(-distance / typical) + x @ x.T / max(x.shape[1], 1)


def _judge(kernel: NDArray, fold: NDArray[np.integer]) -> NDArray[np.float64]:
    """`[N, N]`: turns labels +1 and -1 into scores, none of a record's own fold counting."""
    judge = np.zeros_like(kernel)
    for f in range(FOLDS):
        train, test = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
        own = kernel[np.ix_(train, train)] + _RIDGE * np.eye(len(train))
        weights = cho_solve(cho_factor(own), kernel[np.ix_(train, test)])
        judge[np.ix_(test, train)] = weights.T
    return judge


def _aucs(scores: NDArray, label: NDArray) -> NDArray[np.float64]:
    """AUC of each column of scores `[N, m]` for labels +1 and -1 of the same shape."""
    members = int((label[:, 0] > 0).sum())
    others = len(label) - members
    ranks = scipy.stats.rankdata(scores, axis=0)
    above = (ranks * (label > 0)).sum(axis=0) - members * (members + 1) / 2
    return above / (members * others)


def told_apart(
    kernel: NDArray[np.float64],
    fold: NDArray[np.integer],
    label: NDArray[np.float64],
    level: float = FAMILY_LEVEL,
) -> tuple[float, float, float]:
    """AUC of kernel ridge, cross-fitted over 5 folds, and its interval at 1 - `level`.

    `kernel` `[N, N]`, `fold` `[N]` in 0..4, `label` `[N, m]` of +1 (member) and -1: the true ones
    in the first column, and in the others labels that are as likely if the sides do not differ.
    """
    found = _aucs(_judge(kernel, fold) @ (label - label.mean(axis=0)), label)
    value = float(found[0])
    half = float(np.quantile(np.abs(found - 0.5), 1 - level, method="higher"))
    return value, max(value - half, 0.0), min(value + half, 1.0)


def blind_baseline(
    x: NDArray, side: NDArray[np.uint8], seed: int, y: NDArray[np.integer] | None = None
) -> Control:
    """0.5 must lie in the interval of the AUC that records alone give, at 1 - FAMILY_LEVEL.

    `x` `[n, 2, *record]` are the records of the pairs, `y` `[n, 2]` their labels, `side` `[n]` the
    member of each pair. Of more than 1,000 pairs a random 1,000 are used, of more than 64 features
    the first 64 principal components. Fewer than 20 pairs show nothing and fail.

    Raises:
        ValueError: shapes that do not match, or a record that is not finite.
    """
    x, side = np.asarray(x), np.asarray(side)
    if x.shape[:2] != (len(side), 2) or (y is not None and np.shape(y) != (len(side), 2)):
        raise ValueError(f"records must be [{len(side)}, 2, ...] and labels alike, got {x.shape}")
    if not np.isfinite(x.reshape(len(x), -1)).all():
        bad = int(np.flatnonzero(~np.isfinite(x.reshape(len(x), -1)).all(axis=1))[0])
        raise ValueError(f"a record of pair {bad} is not finite")
    if len(side) < _FEWEST_PAIRS:
        detail = (
            f"{len(side)} pairs are too few to see whether members differ by themselves; "
            f"{_FEWEST_PAIRS} are needed."
        )
        return Control("blind_baseline", False, None, None, None, detail)
    if len(side) > _MOST_PAIRS:
        drawn = np.random.default_rng([seed, 0x5AB]).permutation(len(side))[:_MOST_PAIRS]
        x, side, y = x[drawn], side[drawn], None if y is None else np.asarray(y)[drawn]
    member = np.where(side[:, None] == np.arange(2), 1.0, -1.0)
    exchange = np.random.default_rng([seed, 0xE8C]).choice([-1.0, 1.0], (EXCHANGES, len(side)))
    exchange[0] = 1.0
    label = (exchange[..., None] * member).reshape(EXCHANGES, -1).T
    order = np.random.default_rng([seed, 0xB1D]).permutation(len(side))
    value, low, high = told_apart(_kernel(_features(x, y, seed)), (order % FOLDS).repeat(2), label)
    passed = low <= 0.5 <= high
    told = f"AUC {value:.3f} ({low:.3f} to {high:.3f}) from the records alone"
    detail = (
        f"Members cannot be told from non-members without the model: {told}."
        if passed
        else f"Members and non-members differ by themselves: {told}; attack figures are not "
        "leakage alone. Draw the two from the same source."
    )
    return Control("blind_baseline", passed, value, low, high, detail)
