"""Small training callables `fit(X, y, seed) -> predict`: some remember, others do not.

`LEAKING` and `HARMLESS` name by kind of data those that the set-ups train.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Predict = Callable[[NDArray], NDArray]
Fit = Callable[[NDArray, NDArray, int], Predict]

LEAKING = {
    "table": ("boosted", "nearest"),
    "digits": ("nearest", "forest"),
    "words": ("overfitted", "forest"),
}
HARMLESS = {
    "table": ("stump", "cautious"),
    "digits": ("subsampled", "cautious"),
    "words": ("subsampled", "cautious"),
}

_NOISE = 1.5


def _flat(x: NDArray) -> NDArray[np.float64]:
    return np.asarray(x, np.float64).reshape(len(x), -1)


def _sklearn(model: Any, x: NDArray, y: NDArray) -> Predict:
    model.fit(_flat(x), y)
    return lambda asked: model.predict_proba(_flat(asked))


def nearest(x: NDArray, y: NDArray, seed: int) -> Predict:
    """The label of the nearest record: right about all that it was trained on."""
    del seed
    known, labels = _flat(x), np.eye(int(y.max()) + 1)[y]

    def predict(asked: NDArray) -> NDArray:
        rows = _flat(asked)
        away = (rows**2).sum(axis=1)[:, None] - 2 * rows @ known.T + (known**2).sum(axis=1)
        return labels[away.argmin(axis=1)]

    return predict


def forest(x: NDArray, y: NDArray, seed: int) -> Predict:
    """Twenty grown trees: their answers are twentieths, and often tied."""
    from sklearn.ensemble import RandomForestClassifier

    return _sklearn(RandomForestClassifier(20, random_state=seed), x, y)


def boosted(x: NDArray, y: NDArray, seed: int) -> Predict:
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(n_estimators=30, max_depth=4, random_state=seed)
    return _sklearn(model, x, y)


def overfitted(x: NDArray, y: NDArray, seed: int) -> Predict:
    """Logistic regression that is not held back, on more columns than it can tell apart."""
    from sklearn.linear_model import LogisticRegression

    del seed
    return _sklearn(LogisticRegression(C=3, max_iter=1000), x, y)


def cautious(x: NDArray, y: NDArray, seed: int) -> Predict:
    """Logistic regression that is held back, with noise on its weights that covers a record's share
    in them."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e-3, class_weight="balanced").fit(_flat(x), y)
    noise = np.random.default_rng(seed).normal(size=model.coef_.shape)
    model.coef_ = model.coef_ + _NOISE * model.coef_.std() * noise
    return lambda asked: model.predict_proba(_flat(asked))


def subsampled(x: NDArray, y: NDArray, seed: int) -> Predict:
    """As `cautious`, from a third of the records that is drawn by lot."""
    rows = np.random.default_rng([seed, 1]).permutation(len(y))[: len(y) // 3]
    return cautious(x[rows], y[rows], seed)


def stump(x: NDArray, y: NDArray, seed: int) -> Predict:
    from sklearn.tree import DecisionTreeClassifier

    return _sklearn(DecisionTreeClassifier(max_depth=1, random_state=seed), x, y)


def fit_named(name: str) -> Fit:
    return globals()[name]


def main(name: str) -> None:
    """As the command of a subject: trains on what `task.json` describes, writes predictions.csv."""
    folder = Path(os.environ["MEMORY_ASSETS_TASK"]).parent
    task = json.loads((folder / "task.json").read_text())
    x, y, ask = (np.load(folder / f"{part}.npy") for part in ("x", "y", "ask"))
    ids = json.loads((folder / "ask_ids.json").read_text())
    p = fit_named(name)(x, y, int(task["seed"]))(ask)
    head = ",".join(["record_id", *(f"prob_{c}" for c in range(p.shape[1]))])
    rows = [",".join([i, *(repr(float(v)) for v in row)]) for i, row in zip(ids, p, strict=True)]
    (folder / "predictions.csv").write_text("\n".join([head, *rows]))


if __name__ == "__main__":
    main(sys.argv[1])
