"""One bundle into an open database: staged, checked, then inserted in one transaction."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from memory_assets.errors import InputError
from memory_assets.history.bundle import read_tables
from memory_assets.history.files import plain_error
from memory_assets.history.in_force import put_in_force
from memory_assets.history.legacy import is_old
from memory_assets.store.disk import explain
from memory_assets.store.integrity import damage


class BundleError(InputError):
    """A folder that is no bundle, or a damaged one: the fault of that folder alone."""


class NoAuditError(BundleError):
    """A price of an audit that the history lacks."""


@dataclass(frozen=True)
class Kind:
    """A kind of bundle: its head table has one row, whose key is in every row of the rest.

    `unique` names, for each table of the body, the columns that with the key make a row unique.
    """

    head: str
    key: str
    unique: dict[str, tuple[str, ...]]

    @property
    def tables(self) -> tuple[str, ...]:
        return (self.head, *self.unique)


AUDIT = Kind(
    "audits",
    "audit_id",
    {
        "measurements": ("family", "attack", "population", "metric", "threshold"),
        "controls": ("control",),
        "gate_results": ("metric", "threshold"),
        "findings": ("about", "name", "position"),
        "record_scores": ("record_id", "attack"),
    },
)
RISK = Kind(
    "risk_runs",
    "risk_id",
    {"risk_estimates": ("option", "quantity"), "forecasts": ("option", "event")},
)
KINDS = (AUDIT, RISK)

_UNKNOWN_AUDITS = """
SELECT count(*)
FROM (
    SELECT audit_id FROM staged_risk_runs
    UNION SELECT audit_id FROM staged_risk_estimates
    UNION SELECT audit_id FROM staged_forecasts
)
WHERE audit_id IS NULL OR audit_id NOT IN (SELECT audit_id FROM audits)
"""


@dataclass(frozen=True)
class Head:
    """What a bundle says it is."""

    kind: Kind
    bundle_id: str
    folder: Path


def read_head(folder: Path) -> Head:
    """Find out what lies in a folder.

    Raises:
        BundleError: the folder holds no bundle, or not exactly one.
    """
    for kind in KINDS:
        path = folder / f"{kind.head}.parquet"
        if path.is_file():
            break
    else:
        names = " or ".join(f"{kind.head}.parquet" for kind in KINDS)
        raise BundleError(f"{folder} holds no audit: expected {names} in it")
    try:
        ids = pq.read_table(path, columns=[kind.key])[kind.key].to_pylist()
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        raise BundleError(f"{path} cannot be read: {plain_error(error)}; audit again") from None
    if len(ids) != 1 or not ids[0]:
        raise BundleError(f"{path} must hold one row with its {kind.key}, found {len(ids)}")
    return Head(kind, str(ids[0]), folder)


def known(con: duckdb.DuckDBPyConnection, kind: Kind, ids: Iterable[str]) -> set[str]:
    """Those of the ids that the database already has."""
    rows = con.execute(
        f"SELECT {kind.key} FROM {kind.head} WHERE {kind.key} IN (SELECT unnest(?::VARCHAR[]))",
        [list(ids)],
    ).fetchall()
    return {row[0] for row in rows}


def _scalar(con: duckdb.DuckDBPyConnection, sql: str, *parameters: object) -> int:
    # All of it: a result that is not read to its end holds back what comes next.
    rows = con.execute(sql, list(parameters)).fetchall()
    return int(rows[0][0]) if rows else 0


def _converted(head: Head) -> dict[str, pa.Table]:
    """The tables of a bundle that an older version wrote, as today's would; none of one of today.

    Raises:
        BundleError: a file of it cannot be read.
    """
    if head.kind is not AUDIT:
        return {}
    try:
        if not is_old(pq.read_schema(head.folder / "audits.parquet")):
            return {}
        return read_tables(head.folder)
    except (pa.ArrowException, KeyError, ValueError, TypeError, OSError) as error:
        told = plain_error(error)
        raise BundleError(f"{head.folder} cannot be read: {told}; audit again") from None


def _stage(con: duckdb.DuckDBPyConnection, head: Head) -> None:
    """Read the Parquet files into temporary tables and hold them against the head."""
    converted = _converted(head)
    for table in head.kind.tables:
        path = head.folder / f"{table}.parquet"
        try:
            if table in converted:
                con.register("brought", converted[table])
                con.execute(f"CREATE OR REPLACE TEMP TABLE staged_{table} AS SELECT * FROM brought")
                con.unregister("brought")
            else:
                # A path is a pattern to DuckDB; it is bound, its brackets and stars are quoted.
                con.execute(
                    f"CREATE OR REPLACE TEMP TABLE staged_{table} AS SELECT * FROM read_parquet(?)",
                    [glob.escape(str(path))],
                )
            foreign = _scalar(
                con,
                f"SELECT count(*) FROM staged_{table} WHERE {head.kind.key} IS DISTINCT FROM ?",
                head.bundle_id,
            )
            columns = ", ".join((head.kind.key, *head.kind.unique.get(table, ())))
            repeated = _scalar(
                con,
                f"SELECT count(*) - count(DISTINCT ({columns})) FROM staged_{table}",
            )
        except duckdb.Error as error:
            if refused := explain(error, head.folder):
                raise refused from None
            if isinstance(error, duckdb.OutOfMemoryException):
                raise InputError(f"{path}: {plain_error(error)}; give it more memory") from None
            raise BundleError(f"{path} cannot be read: {plain_error(error)}; audit again") from None
        if foreign:
            raise BundleError(f"{path}: {foreign} rows belong to another {head.kind.key}")
        if repeated:
            raise BundleError(f"{path}: {repeated} rows repeat another one in {columns}")


def _insert(con: duckdb.DuckDBPyConnection, head: Head) -> None:
    for table in head.kind.tables:
        try:
            con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM staged_{table}")
        except (
            duckdb.ConstraintException,
            duckdb.BinderException,
            duckdb.ConversionException,
        ) as error:
            path = head.folder / f"{table}.parquet"
            raise BundleError(f"{path}: {plain_error(error)}") from None
        con.execute(
            f"INSERT INTO contents SELECT ?, ?, count(*) FROM staged_{table}",
            [head.bundle_id, table],
        )


def load(con: duckdb.DuckDBPyConnection, head: Head, *, again: bool = False) -> bool:
    """Insert a bundle whole, or nothing of it; False when the database has it already.

    It comes into force. One that is only read `again`, for a database that is made anew, does not:
    the order in which folders are read says nothing.

    Raises:
        BundleError: the bundle is damaged or not whole, repeats a row, breaks a constraint of the
            schema, or prices an audit that the history does not have.
    """
    if known(con, head.kind, [head.bundle_id]):
        return False
    if what := damage(head.folder):
        raise BundleError(f"{head.folder} is damaged ({what}); audit its version again")
    _stage(con, head)
    if head.kind is RISK and _scalar(con, _UNKNOWN_AUDITS):
        raise NoAuditError(f"{head.folder} prices an audit that history lacks; append it first")
    con.execute("BEGIN")
    try:
        _insert(con, head)
        if not again:
            put_in_force(con, head.bundle_id, datetime.now(UTC))
        con.execute("COMMIT")
    except BaseException:
        # A failed commit has rolled back already; the first error is the one to report.
        with suppress(duckdb.Error):
            con.execute("ROLLBACK")
        raise
    return True
