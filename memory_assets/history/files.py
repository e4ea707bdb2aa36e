"""The two database files: the writer's own, and the published copy that is replaced whole.

Neither is ever opened for writing: what changes is written to a new file in a private folder, which
takes their place when it has been closed, opened again and counted. A write-ahead log beside one of
them is therefore another program's: it is moved away and never read into the history.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from memory_assets.errors import InputError
from memory_assets.store.disk import explain, private_folder, temporary_folder

_Config = dict[str, str | bool | int | float | list[str]]

# Nothing is fetched from outside. What can be set is given when a file is opened: connections of
# one process to one file share an instance, whose settings a reader locks.
_SETTINGS: _Config = {"autoinstall_known_extensions": False, "TimeZone": "UTC"}
# A reader sees the history and nothing else of the machine.
READ_ONLY: _Config = _SETTINGS | {
    "enable_external_access": False,
    "python_enable_replacements": False,
    "temp_directory": "",
    "lock_configuration": True,
}

# What a wrong statement raises.
STATEMENT_ERRORS = (
    duckdb.ProgrammingError,
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.NotSupportedError,
    duckdb.PermissionException,
    duckdb.OutOfMemoryException,
)
# What a damaged file raises; any other error speaks of the connection or the machine.
_DAMAGE = (
    duckdb.IOException,
    duckdb.SerializationException,
    duckdb.InternalException,
    duckdb.FatalException,
)
# What the operating system refused, as DuckDB quotes it.
_SYSTEM_ERRORS = tuple(os.strerror(number) for number in errno.errorcode)
_LOGS = (".wal", ".wal.checkpoint", ".wal.recovery")
# What is kept beside under a name of its own.
_FOREIGN, _DAMAGED = ".of-another-program-", ".damaged-"
_BEFORE_UPGRADE = ".before-upgrade-"
_log = logging.getLogger(__name__)


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

    @property
    def lost(self) -> Path:
        """What a rebuild did not find again and nobody has accepted, in words."""
        return self.root / "history" / "lost.txt"

    def kept_aside(self) -> list[Path]:
        """Logs of other programs, damaged files and those of older versions, by what they are."""
        ends = (_DAMAGED, _BEFORE_UPGRADE, *(f"{log}{_FOREIGN}" for log in _LOGS))
        return [
            path
            for file in (self.published, self.writer)
            for end in ends
            for path in sorted(file.parent.glob(f"{file.name}{end}*"))
        ]

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """A private path that is removed at the end."""
        with temporary_folder(self.root) as folder:
            yield folder / "history.duckdb"


def _beside(path: Path, what: str) -> Path:
    """A name beside a file that says what it is, and when the file was last written."""
    changed = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    return path.with_name(f"{path.name}{what}{changed:%Y%m%dT%H%M%S.%fZ}")


def set_logs_aside(path: Path) -> None:
    """Move the write-ahead logs away that another program left beside a database of ours.

    DuckDB would read what they say into the database, or refuse to open it.

    Raises:
        InputError: they may not be moved.
    """
    for log in (path.with_name(f"{path.name}{end}") for end in _LOGS):
        try:
            kept = _beside(log, _FOREIGN)
            log.rename(kept)
        except FileNotFoundError:  # as good as always
            continue
        except OSError as error:
            raise InputError(
                f"{log} was left by another program that wrote to {path.name}, is not read, and "
                f"may not be moved away ({error.strerror}); remove it, or run as its owner"
            ) from None
        _log.warning("%s was left by another program; kept, unread, as %s", log, kept)


def keep_damaged(path: Path) -> Path:
    """Give a damaged file a second name that says so, which stays when the file is replaced."""
    return _keep(path, _DAMAGED)


def keep_before_upgrade(path: Path) -> Path:
    """The same of a file whose tables are about to be changed by a newer version."""
    kept = _keep(path, _BEFORE_UPGRADE)
    _log.info("%s is kept as %s before it is brought up to date", path, kept)
    return kept


def _keep(path: Path, what: str) -> Path:
    kept = _beside(path, what)
    if not kept.exists():  # from an earlier try
        try:
            os.link(path, kept)
        except OSError:  # a file system without second names
            shutil.copy2(path, kept)
    return kept


def plain_error(error: BaseException) -> str:
    """The first line of a message, without the excerpt of SQL that follows it."""
    return str(error).partition("\n")[0]


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a new file of one's own for writing.

    Raises:
        InputError: it may not be written, or the disk is full.
        DamagedError: the file is not a database that can be read.
    """
    with explaining(path):
        con = duckdb.connect(str(path), config=_SETTINGS)
    path.chmod(0o600)
    return con


@contextmanager
def reading(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database that nobody writes, always with the same settings.

    Raises:
        InputError: another program holds it, or it may not be read.
        DamagedError: it does not open or does not read.
    """
    set_logs_aside(path)
    with explaining(path), duckdb.connect(str(path), read_only=True, config=READ_ONLY) as con:
        yield con


def _explained(error: duckdb.Error, path: Path) -> Exception:
    text = str(error)
    if "Could not set lock" in text or "Conflicting lock" in text:
        return InputError(
            f"{path} is open in another program, which writes; close it there, and open "
            "history.duckdb read only instead, which never blocks"
        )
    if refused := explain(error, path.parent):
        return refused
    if "Permission denied" in text:
        return InputError(f"{path} may not be read; check its owner and mode")
    if "with version number" in text:
        return InputError(f"{path} was written by a newer DuckDB than this one; upgrade duckdb")
    if "different configuration" in text:
        return InputError(f"{path} is open in this process with other settings; close it first")
    if isinstance(error, STATEMENT_ERRORS):
        return error
    # A block whose checksum is wrong is an error without a kind of its own.
    damage = isinstance(error, _DAMAGE) or type(error) is duckdb.Error
    if damage and not any(said in text for said in _SYSTEM_ERRORS):
        return DamagedError(plain_error(error))
    return InputError(f"{path} cannot be opened or read now ({plain_error(error)})")


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn an error of DuckDB on this database into an `InputError` or `DamagedError`."""
    try:
        yield
    except duckdb.Error as error:
        raise _explained(error, path) from None


def counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many rows each table of a database has."""
    found = {}
    for (table,) in con.execute(
        "SELECT table_name FROM duckdb_tables() "
        "WHERE NOT internal AND NOT temporary AND database_name = current_database()"
    ).fetchall():
        row = con.execute(f'SELECT count(*) FROM "{table}"').fetchone()
        found[table] = row[0] if row else 0
    return found


def verify(path: Path, held: dict[str, int]) -> None:
    """Open a file again that was just written and closed, count its rows, and flush it.

    Closing a database does not tell that it failed: what it could not fold into the file is then
    still in the log beside it.

    Raises:
        InputError: it does not hold these rows.
    """
    log = path.with_name(f"{path.name}.wal")
    found: dict[str, int] | str = "its write-ahead log was not folded in"
    if not (log.exists() and log.stat().st_size):
        try:
            with reading(path) as con:
                found = counts(con)
        except DamagedError as damage:
            found = str(damage)
    if found != held:
        raise InputError(
            f"what was written to the disk of {path.parent} is not whole on it: expected {held}, "
            f"found {found}; see whether it is full or broken, and run again"
        )
    sync(path)


def check(path: Path) -> None:
    """Read every value of a database file that nobody writes.

    DuckDB compares the checksum of each block that it reads; the view `incomplete` counts rows.

    Raises:
        DamagedError: a block does not read, or an audit is not all there.
        InputError: another program holds it, it may not be read, or memory is short.
    """
    try:
        with reading(path) as con:
            for table in counts(con):
                con.execute(f'SELECT max(hash(t)) FROM "{table}" AS t').fetchone()
            if con.execute("SELECT count(*) FROM incomplete").fetchone() != (0,):
                raise DamagedError("an audit is not all there")
    except duckdb.OutOfMemoryException as error:
        raise InputError(f"{path}: {plain_error(error)}; give it more memory") from None
    except STATEMENT_ERRORS as error:  # its tables are none of ours
        raise DamagedError(plain_error(error)) from None


def copy(source: Path, target: Path) -> None:
    """Copy a database that nobody writes to a new private file, with all its rows.

    Raises:
        InputError: another program holds it, or the copy is not whole.
        DamagedError: it does not open.
    """
    with reading(source) as con:
        held = counts(con)
        fd = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        os.close(fd)
        shutil.copyfile(source, target)
    verify(target, held)


def replace(source: Path, target: Path) -> None:
    """Put a whole file in the place of another, at once and durably.

    A log that another program left beside the old one does not stay beside the new one.
    """
    private_folder(target.parent)
    set_logs_aside(target)
    source.replace(target)
    sync(target.parent)


def sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
