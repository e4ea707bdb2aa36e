"""Predictions that came as a table: for owners who bring outputs and no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.records.formats import TABLES, either, is_one_of
from memory_assets.records.tables import named, read_table

SUM_TOLERANCE = 1e-3
"""How far a row of probabilities may be from 1 (outputs are often rounded to a few digits)."""


@dataclass(frozen=True)
class Predictions:
    """Outputs of one model for the records asked about.

    `values` float64 `[R, C]`, logits or probabilities as `logits` says, in the order of the ids
    asked for; `trained` bool `[R]` which of them the model trained on, None where nobody said.
    """

    values: NDArray[np.float64]
    logits: bool
    trained: NDArray[np.bool_] | None = None


def read_predictions(
    path: Path, ids: NDArray[np.str_], asked: NDArray[np.int64], classes: int
) -> Predictions:
    """Read one model's outputs from a Parquet or CSV file.

    The file has a column `record_id` and either `logit_0 .. logit_{C-1}` or
    `prob_0 .. prob_{C-1}`, one row a record, in any order; optionally `trained` (0 or 1).

    Args:
        ids: the ids `[N]` of the data set. asked: the rows `[R]` that must be there; outputs of
            other records of the data set are allowed and left out.

    Raises:
        InputError: an unreadable file, another number of classes, an unknown, repeated or missing
            id, a value that is not finite, probabilities that do not sum to 1 (the first offending
            row is named, counted from 1 after the header).
    """
    table = _table(path)
    named(table, path, "record_id")
    read = read_rows(path, table, {str(record): row for row, record in enumerate(ids)}, classes)
    return choose_rows(path, read, ids, asked)


def said_to_be_trained(
    path: Path, ids: NDArray[np.str_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]] | None:
    """What a version's own table says that it trained on: rows of the data set, and whether.

    None where it has no column `trained`.

    Raises:
        InputError: as `read_predictions`, of these two columns.
    """
    table = read_table(path, ["record_id", "trained"], texts=["record_id"])
    if "trained" not in table.column_names:
        return None
    named(table, path, "record_id")
    row_of = {str(record): row for row, record in enumerate(ids)}
    return _rows(path, table, row_of, 0), _flags(path, table, 0)


def check_probabilities(values: object, records: int, classes: int) -> NDArray[np.float64]:
    """Probabilities `[records, classes]` as a training callable or command returned them.

    Raises:
        InputError: another shape, a value that is not finite, or a row that does not sum to 1.
    """
    p = np.asarray(values, dtype=np.float64)
    if p.shape != (records, classes):
        raise InputError(
            f"predictions of shape {list(p.shape)}; expected [{records}, {classes}] probabilities"
        )
    if (bad := _first_bad(p, logits=False)) is not None:
        raise InputError(f"predictions: row {bad[0] + 1} {bad[1]}")
    return p


@dataclass(frozen=True)
class Rows:
    """Rows of a table of outputs as they stand there: `rows` `[r]` are those of the data set,
    `places` `[r]` those of the table; `values` `[r, C]` and `trained` `[r]` as in `Predictions`."""

    rows: NDArray[np.int64]
    places: NDArray[np.int64]
    values: NDArray[np.float64]
    logits: bool
    trained: NDArray[np.bool_] | None


def read_rows(
    path: Path, table: pa.Table, row_of: Mapping[str, int], classes: int, first: int = 0
) -> Rows:
    """Check and read a piece of a table that begins at row `first` of the whole."""
    values, logits = _values(path, table, classes)
    if (bad := _first_bad(values, logits)) is not None:
        raise InputError(f"{path}: row {first + bad[0] + 1} {bad[1]}")
    trained = _flags(path, table, first) if "trained" in table.column_names else None
    rows = _rows(path, table, row_of, first)
    return Rows(rows, first + np.arange(len(rows)), values, logits, trained)


def choose_rows(
    path: Path, read: Rows, ids: NDArray[np.str_], asked: NDArray[np.int64], which: str = ""
) -> Predictions:
    """The outputs of one model about the records asked for, `which` naming it in errors."""
    place = _places(path, ids, read.rows, read.places, asked, which)
    trained = None if read.trained is None else read.trained[place]
    return Predictions(read.values[place], read.logits, trained)


def _table(path: Path) -> pa.Table:
    if not is_one_of(path, TABLES):
        raise InputError(f"{path}: expected a {either(TABLES)} file of predictions")
    return read_table(path, texts=["record_id"])


def _values(path: Path, table: pa.Table, classes: int) -> tuple[NDArray[np.float64], bool]:
    for prefix, logits in (("logit_", True), ("prob_", False)):
        width = sum(name.startswith(prefix) for name in table.column_names)
        if not width:
            continue
        columns = [f"{prefix}{c}" for c in range(classes)]
        if width != classes or not set(columns) <= set(table.column_names):
            raise InputError(
                f"{path}: {width} columns {prefix}*; expected {columns[0]} to {columns[-1]}"
            )
        try:
            parts = [table[name].cast(pa.float64()).to_numpy() for name in columns]
        except pa.ArrowException as error:
            raise InputError(f"{path}: a value in {prefix}* is not a number") from error
        return np.stack(parts, axis=1), logits
    raise InputError(f"{path}: no columns logit_0.. or prob_0..; expected one a class")


def _first_bad(values: NDArray[np.float64], logits: bool) -> tuple[int, str] | None:
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        return int((~finite).argmax()), "holds a value that is missing or not finite"
    if logits:
        return None
    outside = ((values < 0) | (values > 1)).any(axis=1)
    if outside.any():
        return int(outside.argmax()), "holds a probability outside 0 to 1"
    total = values.sum(axis=1)
    if (off := np.abs(total - 1) > SUM_TOLERANCE).any():
        row = int(off.argmax())
        return row, f"sums to {total[row]:.6g}; expected probabilities that sum to 1"
    return None


def whole_numbers(path: Path, table: pa.Table, name: str) -> NDArray[np.int64]:
    try:
        column = table[name].cast(pa.int64())
    except pa.ArrowException as error:
        raise InputError(f"{path}: column {name!r}; expected whole numbers") from error
    if column.null_count:
        raise InputError(f"{path}: column {name!r} has {column.null_count} empty cell(s)")
    return column.to_numpy()


def _flags(path: Path, table: pa.Table, first: int) -> NDArray[np.bool_]:
    numbers = whole_numbers(path, table, "trained")
    if (bad := (numbers != 0) & (numbers != 1)).any():
        raise InputError(f"{path}: row {first + int(bad.argmax()) + 1}: trained; expected 0 or 1")
    return numbers.astype(np.bool_)


def _rows(path: Path, table: pa.Table, row_of: Mapping[str, int], first: int) -> NDArray[np.int64]:
    """The data set row of every row of the file."""
    given = table["record_id"].cast(pa.string()).to_pylist()
    rows = np.array([row_of.get(record, -1) for record in given], dtype=np.int64)
    if (rows < 0).any():
        bad = int((rows < 0).argmax())
        # Whatever stands there is no id of a record, so it is not repeated.
        raise InputError(f"{path}: row {first + bad + 1}: its record_id is not in the data set")
    return rows


def _places(
    path: Path,
    ids: NDArray[np.str_],
    rows: NDArray[np.int64],
    own: NDArray[np.int64],
    asked: NDArray[np.int64],
    which: str,
) -> NDArray[np.int64]:
    """Where in `rows` each asked record stands; none may be missing, none there twice."""
    order = np.argsort(rows, kind="stable")
    repeated = np.flatnonzero(np.diff(rows[order]) == 0)
    if len(repeated):
        first = int(order[repeated + 1].min())
        raise InputError(
            f"{path}: row {own[first] + 1}: record_id {str(ids[rows[first]])!r} repeats{which}"
        )
    place = np.full(len(ids), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    missing = place[asked] < 0
    if missing.any():
        first = str(ids[asked[missing.argmax()]])
        raise InputError(
            f"{path}: no row{which} for record_id {first!r} ({int(missing.sum())} records missing)"
        )
    return place[asked]
