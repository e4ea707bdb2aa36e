"""Tables from outside, Parquet and CSV: sizes checked first, and errors that repeat no row."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from memory_assets.errors import InputError
from memory_assets.records.budget import afford
from memory_assets.records.formats import CSV
from memory_assets.store.paths import is_file

_BLOCK = 1 << 22  # bytes of a file that are read at once
_ROWS = 1 << 14  # rows of a Parquet file that are read at once
MOST_COLUMNS = 200_000
"""Columns of a table: twice the most classes, or a picture of 256 by 256 in colour."""
_LONGEST_HEADER = 1 << 23  # characters
_WIDTH = 8  # bytes of a number once it is read
_SHOWN = 12
_READ_ERRORS = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)
# What pyarrow says of a bad CSV ends in the row itself.
_CSV_REASON = re.compile(r"CSV parse error: (?:Row #\d+: )?Expected \d+ columns, got \d+")


def _plain(kind: pa.DataType) -> bool:
    """Whether a column holds one number or text a row; anything else is not read at all."""
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    tests: tuple[Callable[[pa.DataType], bool], ...] = (
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_string,
        types.is_large_string,
        types.is_null,
    )
    return any(test(kind) for test in tests)


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds texts."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _written_out(column: pa.ChunkedArray, path: Path) -> pa.ChunkedArray:
    """A dictionary column as its values, if there is room: one long text may repeat often."""
    if not pa.types.is_dictionary(column.type):
        return column
    if not is_text(column.type.value_type):
        return column.cast(column.type.value_type)  # a number is not a text of it
    total = 0
    for chunk in column.chunks:
        texts = chunk.dictionary.cast(pa.large_string())
        measured = pc.call_function("binary_length", [texts])
        lengths = measured.fill_null(0).to_numpy(zero_copy_only=False)
        total += int(lengths[np.asarray(chunk.indices.drop_null())].sum(dtype=np.int64))
    afford(2 * total, path)
    return column.cast(pa.large_string())


def _read_parquet(path: Path, columns: Sequence[str] | None) -> pa.Table:
    with parquet.ParquetFile(path) as file:
        found = [field for field in file.schema_arrow if columns is None or field.name in columns]
        for field in found:
            if not _plain(field.type):
                raise InputError(
                    f"{path}: column {field.name!r} is {field.type}; expected numbers or text"
                )
        wanted = [field.name for field in found]
        _refuse_many(len(wanted), path)
        _refuse_twice(wanted, path)
        afford(file.metadata.num_rows * max(1, len(wanted)) * _WIDTH, path)
        texts = [field.name for field in found if is_text(field.type)]
    with parquet.ParquetFile(path, read_dictionary=texts) as file:
        table = file.read(columns=wanted)
    table.validate(full=True)
    return pa.table(
        [_written_out(column, path) for column in table.columns], names=table.column_names
    )


def header_line(path: Path, errors: str = "strict") -> str:
    """The first line of a CSV file, which need not end: no more of it is read than a header has.

    Raises:
        InputError: it is longer than any header.
        OSError, UnicodeDecodeError: the file cannot be read, or not as UTF-8 (`strict`).
    """
    with path.open(encoding="utf-8-sig", errors=errors) as file:
        line = file.readline(_LONGEST_HEADER + 1)
    if len(line) > _LONGEST_HEADER:
        raise InputError(
            f"{path}: its first line is longer than {_LONGEST_HEADER:,} characters; expected the "
            "names of columns"
        )
    return line


def _read_csv(path: Path, texts: Iterable[str]) -> pa.Table:
    if not path.stat().st_size:
        raise InputError(f"{path}: empty; expected a line of column names and a row a record")
    afford(4 * path.stat().st_size, path)
    _refuse_many(header_line(path, "replace").count(",") + 1, path)
    # An id such as 007 is a text, whatever it looks like.
    as_texts = csv.ConvertOptions(column_types=dict.fromkeys(texts, pa.string()))
    table = csv.read_csv(path, convert_options=as_texts)
    _ = table.column_names  # not UTF-8: an error now, where it is understood
    return table


def looks_like_a_record(names: Iterable[str]) -> bool:
    """Whether a header may be a record: an error must not repeat it then."""
    return any(not name.strip() or _is_number(name) for name in names)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def shown(table: pa.Table, name: str) -> str:
    """A column as an error may call it: by its place where a record may stand for the header."""
    if looks_like_a_record(table.column_names):
        return f"number {table.column_names.index(name) + 1}"
    return repr(name)


def _reason(error: Exception, suffix: str) -> str:
    if suffix in CSV.suffixes:
        found = _CSV_REASON.search(str(error))
        return found[0] if found else type(error).__name__
    return (str(error).splitlines() or [type(error).__name__])[0]


def read_table(
    path: Path, columns: Sequence[str] | None = None, texts: Iterable[str] = ()
) -> pa.Table:
    """A table whose columns hold numbers or texts and have different names.

    Args:
        columns: of a Parquet file only these are read, those that it lacks left out.
        texts: columns of a CSV file that are texts whatever they look like.

    Raises:
        InputError: not such a file, a column of another kind, a name that stands twice, or more
            than the memory holds. No row is repeated in it.
    """
    if not is_file(path):
        raise InputError(f"{path}: cannot be read as a table (no such file)")
    try:
        csv_file = path in CSV
        table = _read_csv(path, texts) if csv_file else _read_parquet(path, columns)
    except InputError:
        raise
    except _READ_ERRORS as error:
        reason = _reason(error, path.suffix)
        raise InputError(f"{path}: not a readable {path.suffix[1:]} table ({reason})") from error
    _refuse_twice(table.column_names, path)
    return table


def stream_table(
    path: Path, texts: Sequence[str] = (), numbers: tuple[str, ...] = ()
) -> Iterator[pa.RecordBatch]:
    """A table as `read_table` gives it, in pieces that do not grow with the file.

    Args:
        texts: columns of a CSV file that are texts whatever they look like; numbers: how the names
            of its columns of numbers begin. The kind of others is that of their first values.

    Raises:
        InputError: as `read_table`.
    """
    if not is_file(path):
        raise InputError(f"{path}: cannot be read as a table (no such file)")
    stream = _stream_csv if path in CSV else _stream_parquet
    try:
        yield from stream(path, texts, numbers)
    except InputError:
        raise
    except _READ_ERRORS as error:
        reason = _reason(error, path.suffix)
        raise InputError(f"{path}: not a readable {path.suffix[1:]} table ({reason})") from error


def _stream_csv(
    path: Path, texts: Sequence[str], numbers: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    _refuse_many(header_line(path, "replace").count(",") + 1, path)
    reading = csv.ReadOptions(block_size=_BLOCK)
    with csv.open_csv(path, read_options=reading) as header:
        names = header.schema.names
    _refuse_twice(names, path)
    kinds = dict.fromkeys(texts, pa.string())
    kinds |= {name: pa.float64() for name in names if numbers and name.startswith(numbers)}
    options = csv.ConvertOptions(column_types=kinds)
    with csv.open_csv(path, read_options=reading, convert_options=options) as pieces:
        yield from pieces


def _stream_parquet(
    path: Path, texts: Sequence[str], numbers: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    del texts, numbers  # a Parquet file says what its columns hold
    with parquet.ParquetFile(path, buffer_size=_BLOCK, pre_buffer=False) as file:
        names = file.schema_arrow.names
        _refuse_many(len(names), path)
        _refuse_twice(names, path)
        for field in file.schema_arrow:
            if not _plain(field.type):
                raise InputError(
                    f"{path}: column {field.name!r} is {field.type}; expected numbers or text"
                )
        for piece in file.iter_batches(_ROWS):
            piece.validate(full=True)
            yield piece


def _refuse_many(columns: int, path: Path) -> None:
    if columns > MOST_COLUMNS:
        raise InputError(f"{path}: {columns:,} columns; expected at most {MOST_COLUMNS:,}")


def _refuse_twice(names: Sequence[str], path: Path) -> None:
    if len(count := Counter(names)) < len(names):
        twice = next(name for name in names if count[name] > 1)
        called = f"number {names.index(twice) + 1}" if looks_like_a_record(names) else repr(twice)
        raise InputError(f"{path}: column {called} stands twice; give each a name of its own")


def named(table: pa.Table, path: Path, name: str, field: str = "") -> pa.ChunkedArray:
    """A column by its name.

    Raises:
        InputError: there is none; `field` is the setting that named it.
    """
    if table.schema.get_field_index(name) < 0:  # the list of all names is made anew each time
        which = f" ({field})" if field else ""
        known = ", ".join(table.column_names[:_SHOWN])
        if looks_like_a_record(table.column_names):
            known = f"{table.num_columns} columns, some named by a number; is the header missing?"
        raise InputError(f"{path}: no column {name!r}{which}; it has {known}")
    return table[name]


def float_ids(kind: object, where: str) -> InputError:
    """The error of ids that are numbers with decimals, of this type."""
    return InputError(
        f"{where}: ids that are {kind}, which write 10 as 10.0 and keep 16 digits at most; write "
        "them as text or whole numbers"
    )
