"""Copying a history into a new file: what a rebuild keeps, and how records are forgotten."""

from __future__ import annotations

from pathlib import Path

import duckdb

from memory_assets.history import files
from memory_assets.history.load import KINDS

# Kept by hand, in no bundle.
_BY_HAND = (
    "subjects",
    "version_order",
    "outcomes",
    "actions",
    "confirmations",
    "in_force_since",
)


def _tables(con: duckdb.DuckDBPyConnection) -> set[str]:
    rows = con.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'old'"
    ).fetchall()
    return {row[0] for row in rows}


def take_over(con: duckdb.DuckDBPyConnection, old: Path, without_records_of: str = "") -> int:
    """Copy from another history every bundle that this one lacks, and what is kept by hand.

    The record scores of one subject can be left out. Returns the number of audits and risk
    calculations copied.
    """
    quoted = str(old).replace("'", "''")
    files.set_logs_aside(old)
    con.execute(f"ATTACH '{quoted}' AS old (READ_ONLY)")
    there = _tables(con)
    con.execute("CREATE OR REPLACE TEMP TABLE present AS SELECT DISTINCT bundle_id FROM contents")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE forgotten AS "
        "SELECT audit_id FROM old.audits WHERE subject = ?",
        [without_records_of],
    )
    con.execute("BEGIN")
    for kind in KINDS:
        for table in there.intersection(kind.tables):
            left_out = " AND audit_id NOT IN (FROM forgotten)" if table == "record_scores" else ""
            con.execute(
                f"INSERT INTO {table} BY NAME SELECT * FROM old.{table} "
                f"WHERE {kind.key} NOT IN (FROM present){left_out}"
            )
    con.execute(
        """
        INSERT INTO contents
        SELECT
            bundle_id,
            table_name,
            if(table_name = 'record_scores' AND bundle_id IN (FROM forgotten), 0, row_count)
        FROM old.contents
        WHERE bundle_id NOT IN (FROM present)
        """
    )
    for table in there.intersection(_BY_HAND):
        con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM old.{table}")
    con.execute("COMMIT")
    kept = con.execute(
        "SELECT count(DISTINCT bundle_id) FROM contents WHERE bundle_id NOT IN (FROM present)"
    ).fetchone()
    con.execute("DETACH old")
    return kept[0] if kept else 0


def lacking(new: Path, old: Path) -> str:
    """What a history lacks that an older file of it holds; empty when it is all there.

    Nothing that was ever published is taken back: a purge removes the scores of records alone.

    Raises:
        DamagedError: one of the files does not read.
        InputError: another program holds one, or it may not be read.
    """
    found, ids = _held(new)
    held, wanted = _held(old)
    less = {"audits and prices": len(wanted - ids)} | {
        f"rows of {table}": held.get(table, 0) - found.get(table, 0) for table in _BY_HAND
    }
    return ", ".join(f"{count} {what}" for what, count in less.items() if count > 0)


def _held(path: Path) -> tuple[dict[str, int], set[str]]:
    """How many rows each table of a history has, and the ids of its audits and prices."""
    with files.reading(path) as con:
        counts = files.counts(con)
        if "contents" not in counts:
            return counts, set()
        rows = con.execute("SELECT DISTINCT bundle_id FROM contents").fetchall()
    return counts, {row[0] for row in rows}
