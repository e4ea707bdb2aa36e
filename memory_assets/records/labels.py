"""Class labels as whatever an owner's file holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError


def as_labels(values: NDArray, where: str) -> tuple[NDArray[np.int64], int]:
    """Labels as 0..classes-1; texts are numbered in sorted order, integers taken as they are.

    Raises:
        InputError: a label is missing.
    """
    if values.dtype.kind in "iu":
        return values.astype(np.int64), int(values.max(initial=0)) + 1
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError(f"{where}: {int((~np.isfinite(values)).sum())} labels are missing")
    names, codes = np.unique(values.astype(str), return_inverse=True)
    return codes.astype(np.int64), len(names)
