"""Which column names the records, and what its values are as text: never a guess, always said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.records.labels import as_texts
from memory_assets.records.settings import ROW_NUMBER
from memory_assets.records.tables import float_ids, is_text, shown

_SHOWN = 3
# What pandas calls an index that it wrote beside the columns, or read back with them.
_INDEX = re.compile(r"\s*|__index_level_\d+__|Unnamed: \d+(\.\d+)*(_level_\d+)?")
_PLAIN_INDEX = ("index", "level_0")
"""What pandas calls an index that became a column; it may be an owner's column as well."""
_ID_NAME = re.compile(
    r"(?:^|[_\W])(?:ids?|uuid|guid|key|nr|no|num|number|serial)$|(?<=[a-z0-9])I[dD]s?$|番号$|番$",
)
_EXACT = {pa.float16(): 2**11, pa.float32(): 2**24, pa.float64(): 2**53}
"""Below this, whole numbers of a type are not whole for want of digits."""


def is_index_name(name: str) -> bool:
    """Whether a column has no name, or one that pandas gives to an index."""
    return _INDEX.fullmatch(name) is not None


def names_ids(name: str) -> bool:
    """Whether a name is one of ids by its form: `id`, `claim_id`, `ClaimID`, `uuid`."""
    return _ID_NAME.search(name.strip()) is not None or name.strip().lower() in ("id", "ids")


def as_ids(values: NDArray, where: str) -> NDArray[np.str_]:
    """One id a record, as it is written.

    Raises:
        InputError: numbers with a decimal point, which are no ids any more, a record without an
            id, or what `as_texts` refuses.
    """
    if values.dtype.kind == "f":
        raise float_ids(values.dtype, where)
    ids = as_texts(values, where)
    if values.dtype.kind in "OUS":
        empty = next((i for i, name in enumerate(ids) if not name.strip()), None)
        if empty is not None:
            raise InputError(f"{where}: record {empty + 1} has no id; give every record one")
    return ids


def numbered(records: int, where: str) -> tuple[NDArray[np.str_], str]:
    """Row numbers as ids, and the line that says so."""
    said = f"{where}: no ids are given; the records are numbered 0 to {records - 1}, as they stand"
    return as_texts(np.arange(records), f"{where}: ids"), said


def spaced(ids: Iterable[str], where: str) -> list[str]:
    """One line about ids with white space around them; none where there are no such."""
    count = sum(name != name.strip() for name in ids)
    if not count:
        return []
    return [f"{where}: white space stands around {count} ids; it is a part of them"]


def indexes(table: pa.Table, named: Sequence[str | None]) -> list[str]:
    """The columns that are an index somebody's program wrote, apart from those that are `named`."""
    return [
        name
        for name in table.column_names
        if name not in named
        and (is_index_name(name) or (name in _PLAIN_INDEX and _counts_rows(table[name])))
    ]


def _counts_rows(column: pa.ChunkedArray) -> bool:
    """Whether a column holds 0 to N-1 in order."""
    if not pa.types.is_integer(column.type) or column.null_count:
        return False
    return bool((column.to_numpy() == np.arange(len(column))).all())


def _like_ids(name: str, column: pa.ChunkedArray) -> bool:
    """Whether a column looks like ids: each value once, and an id's name, text or whole numbers.

    A measured quantity is different in every record too, and has decimals.
    """
    kind, records = column.type, len(column)
    if records < 2 or pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return False
    different = pc.call_function("count_distinct", [column]).as_py()
    if names_ids(name) and not pa.types.is_floating(kind):
        return 2 * different > records
    if different < records:
        return False
    if is_text(kind) or names_ids(name):
        return True
    values = column.to_numpy()
    if kind in _EXACT and not ((values < _EXACT[kind]) & (values == np.floor(values))).all():
        return False
    return bool((values >= 0).all())


def ask_for_ids(table: pa.Table, path: Path, label: str) -> None:
    """Stop where the owner names no ids and a column might hold them.

    Taken for a feature, such a column would let a model look its records up, and row numbers in
    the place of ids would make members of other records.

    Raises:
        InputError: there is such a column; the message says how to name it, or the row numbers.
    """
    rows = [name for name in indexes(table, [label]) if _counts_rows(table[name])]
    found = [
        name
        for name in table.column_names
        if name != label and name not in rows and _like_ids(name, table[name])
    ]
    if not found:
        return
    first = min(found, key=lambda name: (not names_ids(name), not is_text(table[name].type)))
    text = is_text(table[first].type)
    others = ", ".join([shown(table, name) for name in found if name != first][:_SHOWN])
    raise InputError(
        f"{path}: column {shown(table, first)} {'is not numeric and ' if text else ''}may hold the "
        f"records' ids{f' (as may {others})' if others else ''}, and records.id names "
        "none; set records.id to the column whose ids the list of members holds, or to "
        f"`{ROW_NUMBER}` if it holds row numbers, from 0"
        + (" (then encode this column, or drop it)" if text else "")
    )


def more_ids(table: pa.Table, features: Sequence[str], where: str) -> list[str]:
    """One line about features that are ids by name and by value; none where there are no such."""
    found = [name for name in features if names_ids(name) and _like_ids(name, table[name])]
    if not found:
        return []
    called = ", ".join(shown(table, name) for name in found[:_SHOWN])
    return [f"{where}: column {called} looks like ids too, and is read as a feature of the model"]


def ask_for_array(names: Iterable[str], taken: Sequence[str | None], where: str) -> None:
    """Stop where the owner names no ids and an array of another name might hold them.

    Raises:
        InputError: there is such an array.
    """
    found = sorted(name for name in names if name not in taken and names_ids(name))
    if found:
        raise InputError(
            f"{where}: array {found[0]!r} may hold the records' ids, and records.id names none; "
            f"set records.id to its name, or to `{ROW_NUMBER}` if the list of members holds row "
            "numbers, from 0"
        )
