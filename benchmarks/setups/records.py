"""Three kinds of records, a fifth of them under a wrong label: who fits those remembers them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

KINDS = ("table", "digits", "words")
RECORDS = 600
MEMBERS = 300
PAIRS = 240
"""Pairs that are drawn from so many members and as many others: four fifths of them."""

_NOISE = 0.2
_VOCABULARY, _TOPICS, _WORDS = 150, 4, 15


@dataclass(frozen=True)
class Records:
    """`x` float32 `[N, *record]` and labels `y` int64 `[N]` of `classes` classes."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    classes: int

    @property
    def ids(self) -> NDArray[np.str_]:
        return np.array([f"r{i:04d}" for i in range(len(self.y))])

    def changed(self, x: NDArray | None = None, y: NDArray | None = None) -> Records:
        new = replace(self, x=self.x if x is None else np.asarray(x, np.float32))
        return new if y is None else replace(new, y=np.asarray(y, np.int64))

    def write(self, folder: Path) -> str:
        """Write them as a table, or as an npz file where a record is no row; the file's name."""
        if self.x.ndim > 2:
            np.savez(folder / "records.npz", x=self.x, label=self.y, id=self.ids)
            return "records.npz"
        columns = {f"x{i}": self.x[:, i] for i in range(self.x.shape[1])}
        table = pa.table({"id": self.ids.astype(object), "label": self.y, **columns})
        csv.write_csv(table, folder / "records.csv")
        return "records.csv"


@cache
def draw(kind: str, seed: int) -> Records:
    """Records of a kind, all from one source, in random order."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    x, y, classes = {"table": _table, "digits": _digits, "words": _words}[kind](rng)
    wrong = (y + rng.integers(1, classes, len(y))) % classes
    y = np.where(rng.random(len(y)) < _NOISE, wrong, y)
    return Records(x.astype(np.float32), y.astype(np.int64), classes)


def _table(rng: np.random.Generator) -> tuple[NDArray, NDArray, int]:
    y = rng.integers(0, 2, RECORDS)
    return rng.normal(size=(RECORDS, 6)) + 0.8 * y[:, None], y, 2


def _digits(rng: np.random.Generator) -> tuple[NDArray, NDArray, int]:
    from sklearn.datasets import load_digits

    x, y = (np.asarray(part) for part in load_digits(return_X_y=True))
    order = rng.permutation(len(y))[:RECORDS]
    return x[order].reshape(-1, 8, 8) / 16, y[order], 10


def _words(rng: np.random.Generator) -> tuple[NDArray, NDArray, int]:
    """Counts of words in short texts on one of four topics."""
    usual = 1 / np.arange(1, _VOCABULARY + 1)
    topics = usual * rng.gamma(0.7, size=(_TOPICS, _VOCABULARY))
    topics /= topics.sum(axis=1, keepdims=True)
    y = rng.integers(0, _TOPICS, RECORDS)
    return np.stack([rng.multinomial(_WORDS, topics[t]) for t in y]), y, _TOPICS
