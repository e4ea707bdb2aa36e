"""The two database files: the writer's own, and the published copy that is replaced whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from memory_assets.disk import explain, private_folder, temporary_folder
from memory_assets.errors import InputError

# Nothing is fetched from outside.
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
}


# What a wrong statement raises; any other error of DuckDB speaks of the file.
STATEMENT_ERRORS = (
    duckdb.ProgrammingError,
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.NotSupportedError,
    duckdb.OutOfMemoryException,
)


class DamagedError(Exception):
    """A database file that does not open or does not read."""


@dataclass(frozen=True)
class Files:
    """Where the history lies under a root."""

    root: Path

    @property
    def published(self) -> Path:
        return self.root / "history.duckdb"

    @property
    def writer(self) -> Path:
        return self.root / "history" / "writer.duckdb"

    @property
    def pending(self) -> Path:
        """What was appended and not yet published, one JSON object a line."""
        return self.root / "history" / "pending.jsonl"

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """A private path that is removed at the end."""
        with temporary_folder(self.root) as folder:
            yield folder / "history.duckdb"


def wal(path: Path) -> Path:
    """The write-ahead log that DuckDB keeps beside a database."""
    return path.with_name(f"{path.name}.wal")


def plain_error(error: BaseException) -> str:
    """The first line of a message, without the excerpt of SQL that follows it."""
    return str(error).partition("\n")[0]


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open for writing.

    Raises:
        InputError: another program holds the file, it may not be written, or the disk is full.
        DamagedError: the file is not a database that can be read.
    """
    try:
        con = duckdb.connect(str(path), config=SETTINGS)
        con.execute("SET TimeZone = 'UTC'")
    except duckdb.Error as error:
        raise _explained(error, path) from None
    path.chmod(0o600)
    return con


def _explained(error: duckdb.Error, path: Path) -> Exception:
    text = str(error)
    if "Could not set lock" in text or "Conflicting lock" in text:
        return InputError(
            f"{path} is open in another program; close it there and open the published "
            "history.duckdb instead, which never blocks"
        )
    if refused := explain(error, path.parent):
        return refused
    if "Permission denied" in text:
        return InputError(f"{path} may not be written; check its owner and mode")
    if "with version number" in text:
        return InputError(f"{path} was written by a newer DuckDB than this one; upgrade duckdb")
    return error if isinstance(error, STATEMENT_ERRORS) else DamagedError(plain_error(error))


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn an error of DuckDB on this database into an `InputError` or `DamagedError`."""
    try:
        yield
    except duckdb.Error as error:
        raise _explained(error, path) from None


def check(path: Path) -> None:
    """Read every value of a database file that nobody writes.

    DuckDB compares the checksum of each block that it reads; the view `incomplete` counts rows.

    Raises:
        DamagedError: a block does not read, or an audit is not all there.
    """
    try:
        with duckdb.connect(str(path), read_only=True, config=SETTINGS) as con:
            tables = con.execute(
                "SELECT table_name FROM duckdb_tables() WHERE NOT internal"
            ).fetchall()
            for (table,) in tables:
                con.execute(f'SELECT max(hash(t)) FROM "{table}" AS t').fetchone()
            if con.execute("SELECT count(*) FROM incomplete").fetchone() != (0,):
                raise DamagedError("an audit is not all there")
    except duckdb.Error as error:
        raise DamagedError(plain_error(error)) from None


def copy_durably(source: Path, target: Path) -> None:
    """Copy a closed database to a new private file, on disk when this returns."""
    fd = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    os.close(fd)
    shutil.copyfile(source, target)
    sync(target)


def replace(source: Path, target: Path) -> None:
    """Put a whole file in the place of another, at once and durably."""
    private_folder(target.parent)
    source.replace(target)
    sync(target.parent)


def sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
