"""Classifiers that see records and no model, each judging records that it did not learn from.

Kernel ridge is linear in the labels, so relabelling costs one product and its test repeats the
whole cross-validation, averaged over several draws of the folds: no verdict hangs on one of them.

Boosted trees are too dear for that. They judge every fold after learning from the folds before it
(Dawid 1984, prequential): whatever was learned, exchanging the labels of the fold that is judged
leaves its scores as they are. Three orders of the folds are combined by 1.5 times the middle
p-value (Rueger 1978), which is valid for any dependence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import pdist, squareform

from memory_assets.validity.exchange import (
    Floats,
    Labels,
    Told,
    aucs,
    hit_rates,
    told_by,
    told_of,
)

FOLDS = 5
_DRAWS = 3
_RIDGE = 1.0
_SHAPES = 64
"""Columns, or principal components of more, that the Gaussian kernel reads."""
_MOST_FOR_TREES = 256
_TREES = 30
_EXACT_CELLS = 20_000
_MIDDLE = 1.5

Table = Any
"""Columns `[N, d]`: an array, or a sparse matrix of scipy."""

Redraw = Callable[[int], NDArray[np.integer]]
"""The fold `[N]` in 0..4 of every record, by the number of the draw."""


def draw_folds(units: int, size: int, seed: int) -> Redraw:
    """Folds of units of `size` records that lie together, such as the two of a pair."""

    def draw(number: int) -> NDArray[np.integer]:
        order = np.random.default_rng([seed, 0xB1D, number]).permutation(units)
        return (order % FOLDS).repeat(size)

    return draw


def likeness(columns: NDArray[np.float32], seed: int) -> Floats:
    """Kernel `[N, N]` of standardized columns: of shape (Gaussian) and of direction (linear)."""
    if not columns.shape[1]:
        return np.zeros((len(columns), len(columns)))
    linear = (columns @ columns.T).astype(np.float64) / columns.shape[1]
    shapes = columns
    if columns.shape[1] > _SHAPES:
        from sklearn.decomposition import PCA

        rank = min(_SHAPES, len(columns) - 1)
        shapes = PCA(rank, svd_solver="randomized", random_state=seed).fit_transform(columns)
    distance = squareform(pdist(shapes, "sqeuclidean"))
    typical = max(float(np.median(distance)), 1e-12)
    return np.exp(-distance / typical) + linear


def _judge(kernel: Floats, fold: NDArray[np.integer]) -> Floats:
    """`[N, N]`: turns labels +1 and -1 into scores, none of a record's own fold counting."""
    judge = np.zeros_like(kernel)
    for f in range(FOLDS):
        train, test = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
        own = kernel[np.ix_(train, train)] + _RIDGE * np.eye(len(train))
        weights = cho_solve(cho_factor(own), kernel[np.ix_(train, test)])
        judge[np.ix_(test, train)] = weights.T
    return judge


def by_ridge(
    kernel: Floats, folds: Redraw, labels: Labels, fprs: tuple[float, ...], level: float, seed: int
) -> Told:
    """Kernel ridge, cross-fitted over 5 folds drawn three times; exact, as all is relabelled."""
    sign = np.where(labels, 1.0, -1.0).T
    sign -= sign.mean(axis=0)
    judge = sum(_judge(kernel, folds(number)) for number in range(_DRAWS)) / _DRAWS
    scores = np.round(judge @ sign, 12).T  # sums in another order must not break ties
    areas, rates = np.empty(len(labels)), np.empty((len(labels), len(fprs)))
    for row, own in enumerate(scores):
        areas[row] = aucs(own, labels[row : row + 1])[0]
        rates[row] = hit_rates(own, labels[row : row + 1], fprs, seed)[0]
    return told_of(areas, rates, fprs, level)


def _worth_a_tree(columns: Table, member: NDArray[np.bool_], rows: NDArray) -> NDArray[np.intp]:
    """The columns that set the sides of these rows apart most, by mean and by spread."""
    if columns.shape[1] <= _MOST_FOR_TREES:
        return np.arange(columns.shape[1])
    sign = np.where(member[rows], 1.0, -1.0)
    sign -= sign.mean()
    some = columns[rows]
    squared = some.multiply(some) if _sparse(some) else np.square(some)
    apart = [np.abs(np.asarray(each.T @ sign)) for each in (some, squared)]
    best = [np.argsort(-each, kind="stable")[: _MOST_FOR_TREES // 2] for each in apart]
    return np.unique(np.concatenate(best))


def _boosting(cells: int, seed: int) -> Any:
    """Gradient boosting (Friedman 2001), by histograms where a search of all splits is too dear."""
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier

    if cells < _EXACT_CELLS:
        return GradientBoostingClassifier(
            n_estimators=_TREES, max_depth=3, learning_rate=0.2, min_samples_leaf=5,
            random_state=seed,
        )  # fmt: skip
    trees = HistGradientBoostingClassifier(
        max_iter=_TREES, max_leaf_nodes=8, learning_rate=0.2, min_samples_leaf=5, random_state=seed
    )
    return trees.set_params(early_stopping=False)


def _sparse(columns: Table) -> bool:
    """What `issparse` itself narrows a type to is a class without operators."""
    return bool(scipy.sparse.issparse(columns))


def _dense(columns: Table, rows: NDArray, kept: NDArray) -> NDArray:
    some = columns[rows][:, kept]
    return some.toarray() if _sparse(some) else some


def _tree_scores(
    columns: Table, member: NDArray[np.bool_], fold: NDArray[np.integer], seed: int
) -> Floats:
    """Scores of the records of folds 1 to 4, as ranks within a fold; those of fold 0 are NaN."""
    scores = np.full(len(member), np.nan)
    for f in range(1, FOLDS):
        learn, ask = np.flatnonzero(fold < f), np.flatnonzero(fold == f)
        kept = _worth_a_tree(columns, member, learn)
        trees = _boosting(len(learn) * len(kept), seed)
        trees.fit(_dense(columns, learn, kept), member[learn])
        said = trees.decision_function(_dense(columns, ask, kept))
        scores[ask] = scipy.stats.rankdata(said) / (len(ask) + 1)
    return scores


def by_trees(
    columns: Table,
    folds: Redraw,
    relabelled: Callable[[NDArray[np.integer]], Labels],
    fprs: tuple[float, ...],
    level: float,
    seed: int,
) -> Told:
    """Boosted trees on columns `[N, d]`, which may be a scipy sparse matrix.

    `relabelled` gives the labels that are as likely as the true ones, for a record's folds. Of more
    than 256 columns those are read that the folds learned from set apart most.
    """
    found = []
    for number in range(_DRAWS):
        fold = folds(number)
        labels = relabelled(fold)
        if not columns.shape[1]:
            scores = np.where(fold > 0, 0.0, np.nan)
        else:
            scores = _tree_scores(columns, labels[0], fold, seed)
        judged = ~np.isnan(scores)
        found.append(told_by(scores[judged], labels[:, judged], fprs, level, seed))
    middle = sorted(found, key=lambda told: told.p)[_DRAWS // 2]
    return Told(middle.auc, middle.half, middle.rates, min(1.0, _MIDDLE * middle.p))
