"""Class labels and ids as whatever an owner's file holds."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.records.budget import MOST_CLASSES, afford

_LONGEST = 1000  # characters
_LONGEST_NUMBER = 32
# Bytes at the peak, measured.
_RECORD = 200
_CHARACTER = 26
_DIGIT = 8


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


def as_labels(values: NDArray, where: str) -> tuple[NDArray[np.int64], int]:
    """Labels as 0..classes-1; texts are numbered in sorted order, integers taken as they are.

    Raises:
        InputError: a label is missing, there is not one a record, or there are too many classes.
    """
    if values.dtype.kind in "iu" and values.ndim == 1:
        codes, classes = values.astype(np.int64), int(values.max(initial=0)) + 1
    else:
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise InputError(f"{where}: {int((~np.isfinite(values)).sum())} labels are missing")
        names, codes = np.unique(as_texts(values, where), return_inverse=True)
        classes = len(names)
    if classes > MOST_CLASSES:
        raise InputError(
            f"{where}: more than {MOST_CLASSES:,} classes; is this the column of the labels?"
        )
    return codes.astype(np.int64), classes
