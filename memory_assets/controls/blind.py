"""Blind baseline: without the model, members and non-members must not be told apart.

If they can be, the two sets differ by themselves (another source, another month), and an attack
that notices the difference needs no leak to succeed. Two classifiers see the records alone: a
linear one for shifts of the mean, trees for the rest; their mean probability is judged by
cross-validation, with both records of a pair always in the same fold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memory_assets.controls.scoring import FAMILY_LEVEL, paired_auc
from memory_assets.statistics.estimate import Control
from memory_assets.statistics.roc import number

_FOLDS = 5
_MOST_PAIRS = 3_000
_MOST_FEATURES = 64


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


def _out_of_fold(features: NDArray, is_member: NDArray, seed: int) -> NDArray[np.float64]:
    """The probability of membership `[2n]`, by models that saw neither record of the pair."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fold = np.random.default_rng([seed, 0xB1D]).permutation(len(features) // 2) % _FOLDS
    fold = fold.repeat(2)
    judged = np.empty(len(features))
    for f in range(_FOLDS):
        train, test = fold != f, fold == f
        linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200))
        trees = ExtraTreesClassifier(60, min_samples_leaf=5, n_jobs=1, random_state=seed)
        judged[test] = sum(
            model.fit(features[train], is_member[train]).predict_proba(features[test])[:, 1]
            for model in (linear, trees)
        )
    return judged


def blind_baseline(
    x: NDArray, side: NDArray[np.uint8], seed: int, y: NDArray[np.integer] | None = None
) -> Control:
    """0.5 must lie in the interval of the AUC that records alone give, at 1 - FAMILY_LEVEL.

    `x` `[n, 2, *record]` are the records of the pairs, `y` `[n, 2]` their labels, `side` `[n]` the
    member of each pair. Of more than 3,000 pairs a random 3,000 are used, of more than 64 features
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
    if len(side) < 20:
        detail = f"{len(side)} pairs are too few to see whether members differ; 20 are needed."
        return Control("blind_baseline", False, None, None, None, detail)
    if len(side) > _MOST_PAIRS:
        drawn = np.random.default_rng([seed, 0x5AB]).permutation(len(side))[:_MOST_PAIRS]
        x, side, y = x[drawn], side[drawn], None if y is None else np.asarray(y)[drawn]
    pairs, features = np.arange(len(side)), _features(x, y, seed)
    estimate = None
    if features.shape[1]:
        is_member = (side[:, None] == np.arange(2)).ravel()
        judged = _out_of_fold(features, is_member, seed).reshape(-1, 2)
        estimate = paired_auc(judged[pairs, side], judged[pairs, 1 - side], 1 - FAMILY_LEVEL)
    else:
        estimate = paired_auc(np.zeros(len(side)), np.zeros(len(side)), 1 - FAMILY_LEVEL)
    low, high, value = (number(e) for e in (estimate.ci_low, estimate.ci_high, estimate.value))
    passed = low <= 0.5 <= high
    told = f"AUC {value:.3f} ({low:.3f} to {high:.3f}) from the records alone"
    detail = (
        f"Members cannot be told from non-members without the model: {told}."
        if passed
        else f"Members and non-members differ by themselves: {told}; attack figures are not "
        "leakage alone. Draw the two from the same source."
    )
    return Control("blind_baseline", passed, value, low, high, detail)
