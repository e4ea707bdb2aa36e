"""The list of records that the model was trained on, from whatever file its owner keeps."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet

from memory_assets.errors import InputError
from memory_assets.records.budget import afford
from memory_assets.records.dataset import Dataset
from memory_assets.records.formats import CSV, ID_LISTS, PARQUET, TEXT, either
from memory_assets.records.ids import as_ids, is_index_name
from memory_assets.records.tables import read_table
from memory_assets.store.paths import is_file

USUAL_NAMES = ("id", "record_id")
"""Headers of a list of ids besides the name of the id's own column."""
_POWER = re.compile(r"\d(\.\d+)?[eE]\+?\d+")
_FIRST = "0"
"""What pandas writes above a column without a name, and the id of a first record."""


@dataclass(frozen=True)
class Members:
    """`mask` `[N]`: the records that the model was trained on; `notices` says in one line each
    what was left out, or taken by a rule, on reading the list."""

    mask: NDArray[np.bool_]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Known:
    """The ids of a data set, without the white space around them: the rows that bear each."""

    names: NDArray[np.str_]
    rows: dict[str, list[int]]
    source: str

    @classmethod
    def of(cls, data: Dataset) -> _Known:
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(data.ids):
            rows.setdefault(str(name).strip(), []).append(row)
        return cls(data.ids, rows, data.source)


@dataclass(frozen=True)
class _Listed:
    """Ids as a list holds them, and what was left out of it."""

    ids: Sequence[str]
    notices: tuple[str, ...] = ()


def load_members(path: Path, data: Dataset, id_column: str | None = None) -> Members:
    """The records of `data` that a list names.

    The list is a CSV file, a text file (`.txt`) with one id a line, or Parquet. A file of one
    column may do without a header; of several, the one named `id_column` (or, where the records
    have no such column, `id` or `record_id`) holds the ids.

    Raises:
        InputError: no such file; it is not clear which column holds the ids, or whether the first
            line is one of them; an id that the data does not hold or that stands twice; no member
            at all, or every record a member (then nothing is left to compare with).
    """
    if not is_file(path):
        raise InputError(f"records.members: no file {path}; list there the ids trained on")
    afford(20 * path.stat().st_size, path, "its ids")
    known = _Known.of(data)
    if path in PARQUET:
        listed = _of_parquet(path, id_column)
    elif path in TEXT:
        listed = _of_one_column(path, _lines(path), known, id_column)
    elif path in CSV:
        listed = _of_csv(path, known, id_column)
    else:
        raise InputError(
            f"records.members: {path.name}; expected {either(ID_LISTS)}; of text one id a line"
        )
    mask, said = _mark(path, listed.ids, known)
    if not mask.any():
        raise InputError(f"{path}: no member ids; list the ids of the records trained on")
    if mask.all():
        raise InputError(
            f"{path}: all {len(data)} records are members; an audit needs records that the model "
            "never saw, add some to the data"
        )
    return Members(mask, (*listed.notices, *said))


def _mark(path: Path, listed: Sequence[str], known: _Known) -> tuple[NDArray[np.bool_], list[str]]:
    """Which records are listed: ids as they are written, or but for the white space around."""
    mask = np.zeros(len(known.names), dtype=bool)
    spaced = 0
    for number, written in enumerate(listed, start=1):
        alike = known.rows.get(written.strip(), [])
        if len(alike) != 1:
            raise InputError(f"{path}: member {number} of {len(listed)} {_why(written, known)}")
        row, name = alike[0], str(known.names[alike[0]])
        if mask[row]:
            raise InputError(f"{path}: member id {name!r} stands more than once; list it once")
        spaced += written != name
        mask[row] = True
    if not spaced:
        return mask, []
    return mask, [
        f"{path}: {spaced} ids are those of {known.source} but for white space around them"
    ]


def _why(written: str, known: _Known) -> str:
    """Why an id names no record, or more than one. What is no id of a record is not repeated."""
    written = written.strip()
    if written in known.rows:
        names = [str(known.names[row]) for row in known.rows[written][:2]]
        return (
            f"is {names[0]!r} or {names[1]!r} of {known.source}, which differ in white space "
            "alone; give one of them another id"
        )
    whole, _, decimals = written.partition(".")
    digits = written.lstrip("0")
    seen = ""
    if _POWER.fullmatch(written) or (decimals and not decimals.strip("0") and whole in known.rows):
        seen = " (a program took the ids for numbers with decimals)"
    elif written.isdecimal() and any(
        name.isdecimal() and name.lstrip("0") == digits for name in known.rows
    ):
        seen = " (but for its leading zeros: a program took the ids for numbers)"
    return f"is no id in {known.source}{seen}; correct the id or add the record"


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a text file in UTF-8 ({type(error).__name__})") from error


def _lines(path: Path) -> list[str]:
    lines = (line.removesuffix("\r") for line in _text(path).split("\n"))
    return [line for line in lines if line.strip()]


def _rows(path: Path) -> list[list[str]]:
    """The rows of a CSV file, without empty lines and columns that are empty throughout."""
    try:
        read = list(csv.reader(io.StringIO(_text(path), newline=""), strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV file in UTF-8 ({type(error).__name__})") from error
    # An empty line is nothing; a cell that holds nothing, and is the only one, is a missing id.
    rows = [row for row in read if row and (len(row) > 1 or not row[0].isspace())]
    width = max(map(len, rows), default=0)
    while width > 1 and not any(row[width - 1].strip() for row in rows if len(row) == width):
        rows = [row[: width - 1] for row in rows]
        width -= 1
    return rows


def _called(id_column: str | None) -> str:
    return repr(id_column if id_column is not None else USUAL_NAMES[0])


def _column(path: Path, names: Sequence[str], id_column: str | None) -> tuple[int, tuple[str, ...]]:
    """Which of several columns holds the ids, by their names, and what is said of the others."""
    wanted = USUAL_NAMES if id_column is None else (id_column,)
    found = [place for place, name in enumerate(names) if name.strip() in wanted]
    if len(found) != 1:
        called = _called(id_column)
        first = "; the first has no name, or that of an index" if is_index_name(names[0]) else ""
        raise InputError(
            f"{path}: {len(names)} columns, {len(found)} of them named {called}{first}; "
            f"give the column of ids the name {called}, or leave nothing but ids"
        )
    said = tuple(
        f"{path}: column {place + 1} has no name, or that of an index: it was not read as ids"
        for place, name in enumerate(names)
        if is_index_name(name)
    )
    return found[0], said


def _of_parquet(path: Path, id_column: str | None) -> _Listed:
    try:
        names = parquet.read_schema(path).names
    except (ValueError, RuntimeError, OSError, MemoryError) as error:  # pyarrow's too
        raise InputError(f"{path}: not a readable Parquet table") from error
    if not names:
        raise InputError(f"{path}: no column; expected one named {_called(id_column)}")
    if len(names) == 1 and names[0] in USUAL_NAMES:
        place, said = 0, ()
    else:
        place, said = _column(path, names, id_column)
    column = read_table(path, [names[place]])[names[place]]
    where = f"{path}: {names[place]!r}"
    if column.null_count:
        raise InputError(f"{where}: {column.null_count} rows without an id; give each one")
    return _Listed([str(name) for name in as_ids(column.to_numpy(), where)], said)


def _of_csv(path: Path, known: _Known, id_column: str | None) -> _Listed:
    rows = _rows(path)
    width = max(map(len, rows), default=0)
    if width <= 1:
        return _of_one_column(path, [row[0] for row in rows], known, id_column)
    place, said = _column(path, rows[0], id_column)
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            raise InputError(
                f"{path}: row {number} has {len(row)} cells, others {width}; put quotation marks "
                "around what holds a comma"
            )
        if not row[place].strip():
            raise InputError(f"{path}: row {number} has no id; give it one, or leave the row out")
    return _Listed([row[place] for row in rows[1:]], said)


def _of_one_column(
    path: Path, cells: Sequence[str], known: _Known, id_column: str | None
) -> _Listed:
    """The ids of a list of one column, told from its header."""
    if not cells:
        return _Listed([])
    first, called = cells[0].strip(), _called(id_column)
    if is_index_name(first) and first not in known.rows:
        raise InputError(
            f"{path}: its one column has no name, or that of an index; name it {called} if it "
            "holds the ids of the records"
        )
    header = first.lower() in {*USUAL_NAMES, (id_column or USUAL_NAMES[0]).lower()}
    if first in known.rows and sum(cell.strip() == first for cell in cells) == 1:
        if header:
            raise InputError(
                f"{path}: its first line, {first!r}, may be the header or the id of a record; "
                "repeat it below if it is an id too, or give the list as Parquet if it is none"
            )
        if first == _FIRST and len(cells) > 1:
            raise InputError(
                f"{path}: its first line, {first!r}, may be the id of a record or the header that "
                f"pandas writes; write the line {called} above the ids, without {first!r} if that "
                "was a header"
            )
    if not header and first not in known.rows:
        raise InputError(
            f"{path}: member 1 of {len(cells)} {_why(first, known)}, or, if it is a header, name "
            f"the column {called}"
        )
    ids = cells[1:] if header else cells
    if (empty := next((i for i, cell in enumerate(ids) if not cell.strip()), None)) is not None:
        raise InputError(f"{path}: member {empty + 1} of {len(ids)} has no id; leave it out")
    return _Listed(ids)
