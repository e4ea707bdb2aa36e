"""Outputs of many shadow models in one table, read one model at a time.

The rows of the models may stand in any order, and all of them together may be far larger than the
memory. So the table is read once, in pieces, and each model's rows are laid into a file of their
own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.models.predictions import (
    Predictions,
    Rows,
    choose_rows,
    read_rows,
    whole_numbers,
)
from memory_assets.records.formats import TABLES, either, is_one_of
from memory_assets.records.tables import named, stream_table


@dataclass(frozen=True)
class ShadowTable:
    """An open table of shadow outputs; `models` are its model numbers in increasing order."""

    path: Path
    ids: NDArray[np.str_]
    asked: NDArray[np.int64]
    models: tuple[int, ...]
    logits: bool
    layout: np.dtype
    folder: Path

    def read(self, model: int) -> Predictions:
        """The outputs of one model about the records asked for.

        Raises:
            InputError: a record of the data set stands twice, or one asked for is missing.
        """
        kept = np.fromfile(self.folder / str(model), self.layout)
        rows = Rows(kept["row"], kept["place"], kept["values"], self.logits, kept["trained"])
        return choose_rows(self.path, rows, self.ids, self.asked, f" of model {model}")


def _layout(classes: int) -> np.dtype:
    return np.dtype(
        [("row", "i8"), ("place", "i8"), ("trained", "?"), ("values", "f8", (classes,))]
    )


def _lay_out(models: NDArray[np.int64], read: Rows, layout: np.dtype, folder: Path) -> None:
    assert read.trained is not None  # the column was asked for
    kept = np.empty(len(models), layout)
    kept["row"], kept["place"] = read.rows, read.places
    kept["trained"], kept["values"] = read.trained, read.values
    for model in np.unique(models):
        with (folder / str(model)).open("ab") as file:
            kept[models == model].tofile(file)


@contextmanager
def open_shadow_table(
    path: Path, ids: NDArray[np.str_], asked: NDArray[np.int64], classes: int, scratch: Path
) -> Iterator[ShadowTable]:
    """Read a Parquet or CSV file like that of `read_predictions`, with columns `model` and
    `trained` besides.

    Args:
        ids: the ids `[N]` of the data set. asked: the rows `[R]` that must be there.
        scratch: a folder in which each model has a private file while the table is open.

    Raises:
        InputError: as `read_predictions`.
    """
    if not is_one_of(path, TABLES):
        raise InputError(f"{path}: expected a {either(TABLES)} file of predictions")
    row_of = {str(record): row for row, record in enumerate(ids)}
    layout, counts, first, logits = _layout(classes), dict[int, int](), 0, False
    with TemporaryDirectory(dir=scratch, prefix=".shadows-") as name:
        folder = Path(name)
        for piece in stream_table(path, texts=["record_id"], numbers=("logit_", "prob_")):
            table = pa.Table.from_batches([piece])
            for column in ("record_id", "model", "trained"):
                named(table, path, column)
            read = read_rows(path, table, row_of, classes, first)
            models = whole_numbers(path, table, "model")
            _lay_out(models, read, layout, folder)
            first, logits = first + len(models), read.logits
            for model, count in zip(*np.unique(models, return_counts=True), strict=True):
                counts[int(model)] = counts.get(int(model), 0) + int(count)
            if max(counts.values(), default=0) > len(ids):
                break  # some record stands twice, however long the file goes on
        if not counts:
            raise InputError(f"{path}: holds no row; expected one for each of {len(asked)} records")
        opened = ShadowTable(path, ids, asked, tuple(sorted(counts)), logits, layout, folder)
        if counts[most := max(counts, key=counts.__getitem__)] > len(ids):
            opened.read(most)  # says which record
        yield opened
