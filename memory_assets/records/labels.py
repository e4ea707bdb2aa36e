"""Class labels and ids as whatever an owner's file holds."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.records.budget import MOST_CLASSES, afford
from memory_assets.results.formulas import LABELS
from memory_assets.store.digest import digest

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?\s*", re.ASCII)
_FEW_CLASSES, _LEAST_A_CLASS = 20, 2
"""Up to 20 labels are classes however few records have them; more need 2 records each on average.
"""
_FEW_FRACTIONS, _LEAST_A_FRACTION = 10, 10
"""The same for labels such as 0.5, which grades are and measurements more often."""

_LONGEST = 1000  # characters
_LONGEST_NUMBER = 32
# Bytes at the peak, measured.
_RECORD = 200
_CHARACTER = 26
_DIGIT = 8


@dataclass(frozen=True)
class Labels:
    """Classes `codes` int64 `[N]` in `0..classes-1`.

    `names` says what each class is called in the file, in their order; empty where the file holds
    these very numbers.
    """

    codes: NDArray[np.int64]
    classes: int
    names: tuple[str, ...] = ()

    @property
    def names_digest(self) -> str:
        """What tells other names or another order apart, and is no name; empty without names."""
        return digest(list(self.names)) if self.names else ""


def as_texts(values: NDArray, where: str) -> NDArray[np.str_]:
    """One text a record; numbers are written out.

    Raises:
        InputError: not one value a record, of a kind that is no text, or not in ASCII where the
            file holds bytes.
    """
    if values.ndim != 1 or values.dtype.kind not in "iufbUSO":
        raise InputError(
            f"{where}: {values.dtype} {list(values.shape)}; expected one text or number a record"
        )
    longest = _longest(values, where)
    # As an array, every text takes the room of the longest; then it is sorted, and digested.
    per_record = _RECORD + (_CHARACTER if values.dtype.kind in "USO" else _DIGIT) * longest
    afford(per_record * len(values), where, "so many texts")
    try:
        return values.astype(str)
    except (UnicodeError, ValueError) as error:
        raise InputError(f"{where}: bytes that are no ASCII text; write them as text") from error


def _longest(values: NDArray, where: str) -> int:
    """Characters of the longest."""
    if values.dtype.kind == "U":
        native = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
        if native.nbytes and native.view(np.uint32).max() > sys.maxunicode:
            raise InputError(f"{where}: one holds what is no character; write it anew as text")
        return values.dtype.itemsize // 4
    if values.dtype.kind != "O":
        return values.dtype.itemsize if values.dtype.kind == "S" else _LONGEST_NUMBER
    longest = max((len(v) for v in values if isinstance(v, str)), default=0)
    if longest > _LONGEST:
        raise InputError(f"{where}: one has {longest:,} characters, expected at most {_LONGEST}")
    return max(longest, _LONGEST_NUMBER)


@LABELS.computes
def as_labels(values: NDArray, where: str) -> Labels:
    """Labels as 0..classes-1, numbered by value, however the file stores them.

    Numbers count by value, written as text too: "10" comes after "9", and 0.0 is 0. Whole numbers
    from 0 on are the classes themselves, so that a class that no record has keeps its place among
    the model's outputs; others (1 to 12, 3/5/7, -1/1) are numbered in their order. Texts are
    numbered in sorted order.

    Raises:
        InputError: a label is missing, there is not one a record, all are the same, they are a
            continuous quantity, or there are too many classes.
    """
    numbers = _as_numbers(values, where)
    if numbers is None:
        names, codes = np.unique(as_texts(values, where), return_inverse=True)
        if len(names) > MOST_CLASSES or not all(map(_NUMBER.fullmatch, names.tolist())):
            _refuse_odd(len(names), len(values), where, continuous=False)
            return Labels(codes.astype(np.int64), len(names), tuple(names.tolist()))
        numbers = names.astype(np.float64)[codes]
    found, codes = np.unique(numbers, return_inverse=True)
    whole = numbers.dtype.kind in "iu" or bool((found == np.floor(found)).all())
    _refuse_odd(len(found), len(numbers), where, continuous=not whole)
    if whole and len(found) and found[0] == 0:
        classes = int(found[-1]) + 1
        if classes > MOST_CLASSES:
            raise _too_many(where)
        return Labels(numbers.astype(np.int64), classes)
    return Labels(codes.astype(np.int64), len(found), tuple(f"{x:g}" for x in found.tolist()))


def _as_numbers(values: NDArray, where: str) -> NDArray | None:
    """The labels as numbers, integers where they are stored so; None where they are texts."""
    if values.ndim != 1 or values.dtype.kind in "iu":
        return values if values.ndim == 1 else None
    if values.dtype.kind == "b":
        return values.astype(np.int64)
    if values.dtype.kind != "f":
        return None
    if not np.isfinite(values).all():
        raise InputError(f"{where}: {int((~np.isfinite(values)).sum())} labels are missing")
    return values.astype(np.float64)


def _refuse_odd(found: int, records: int, where: str, *, continuous: bool) -> None:
    """Refuse labels that are no classes, from how many different ones the records have."""
    if found > MOST_CLASSES:
        raise _too_many(where)
    if found == 1:
        raise InputError(f"{where}: all {records} labels are the same; expected at least 2 classes")
    few = _FEW_FRACTIONS if continuous else _FEW_CLASSES
    share = _LEAST_A_FRACTION if continuous else _LEAST_A_CLASS
    if found > few and found * share > records:
        what = "a quantity" if continuous else "an id or a quantity"
        raise InputError(
            f"{where}: {found:,} different labels in {records:,} records look like {what}, not "
            "classes; give the column of the classes, or cut the quantity into ranges"
        )


def _too_many(where: str) -> InputError:
    return InputError(
        f"{where}: more than {MOST_CLASSES:,} classes; is this the column of the labels?"
    )
