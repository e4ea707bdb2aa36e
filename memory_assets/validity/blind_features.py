"""What a classifier that sees no model may go by: records as columns on one scale.

A number, its being missing, its being one of a few values, and its being the value that stands most
often (what a filled-in gap looks like) are columns of their own, as is each class label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_COLUMNS = 10_000
"""Columns of a record that are looked at; of more a random 10,000."""
_MOST_MARKED = 2_000
"""Columns whose single values become columns of their own."""
_FEW_VALUES = 8
_OFTEN = 0.01  # share of records with one value that makes it worth a column
LABEL = -1


@dataclass(frozen=True)
class Columns:
    """Standardized columns `[2n, c]`; `source` `[c]` names the record's column, or `LABEL`.

    `looked_at` of `there` columns of the records stand behind them.
    """

    values: NDArray[np.float32]
    source: NDArray[np.int64]
    looked_at: int
    there: int


def _marks(column: Floats, missing: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Columns of yes and no that a column of numbers hides."""
    values, counts = np.unique(column[~missing], return_counts=True)
    if 2 < len(values) <= _FEW_VALUES:
        return [column == value for value in values]
    if len(values) > _FEW_VALUES and counts.max() >= max(_OFTEN * len(column), 3):
        return [column == values[counts.argmax()]]
    return []


def as_columns(x: NDArray, y: NDArray[np.integer] | None, seed: int) -> Columns:
    """The records of n pairs, x `[n, 2, *record]` and labels y `[n, 2]`, as columns.

    A number that is not there is NaN. Columns that hold one value only are left out.
    """
    flat = x.reshape(len(x) * 2, -1)
    there = flat.shape[1]
    chosen = np.arange(there)
    if there > MOST_COLUMNS:
        rng = np.random.default_rng([seed, 0xC01])
        chosen = np.sort(rng.permutation(there)[:MOST_COLUMNS])
    found: list[NDArray] = []
    source: list[int] = []
    for number, place in enumerate(chosen):
        column = flat[:, place].astype(np.float64)
        missing = np.isnan(column)
        extra = [missing] if missing.any() else []
        if number < _MOST_MARKED:
            extra += _marks(column, missing)
        if missing.any():
            filled = np.median(column[~missing]) if not missing.all() else 0.0
            column = np.where(missing, filled, column)
        for one in (column, *extra):
            if one.min() < one.max():
                found.append(scaled_column(one))
                source.append(int(place))
    if y is not None:
        labels = np.asarray(y).reshape(-1)
        known = np.unique(labels)
        for value in known if 1 < len(known) <= _MOST_MARKED else ():
            found.append(scaled_column(labels == value))
            source.append(LABEL)
    empty = np.zeros((len(flat), 0), np.float32)
    values = np.stack(found, axis=1) if found else empty
    return Columns(values, np.array(source, dtype=np.int64), len(chosen), there)


def scaled_column(column: NDArray) -> NDArray[np.float32]:
    """Mean 0 and standard deviation 1; zeros where all values are the same."""
    values = column.astype(np.float64)
    largest = float(np.abs(values).max())
    if largest > 0:
        values = values / largest  # a column near the largest float must not overflow its variance
    spread = values.std()
    return ((values - values.mean()) / (spread if spread > 0 else 1.0)).astype(np.float32)
