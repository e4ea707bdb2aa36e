"""Rows of an older history in the form of today: read before a migration, written after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from memory_assets.history import legacy
from memory_assets.results.metrics import METRICS
from memory_assets.store.digest import digest

RESULTS_AS_DATA = "schema/0010_results.sql"
"""The migration before which sentences were stored; its conversion is `OlderRows`."""
_COUNTED = ("measurements", "gate_results", "findings")


@dataclass
class OlderRows:
    """What an audit had in columns and rows that are no more."""

    audits: list[dict[str, Any]] = field(default_factory=list)
    measurements: pa.Table | None = None
    controls: pa.Table | None = None

    @classmethod
    def read(cls, con: duckdb.DuckDBPyConnection) -> OlderRows:
        """Everything that the migration is about to change."""
        return cls(
            con.sql("SELECT audit_id, verdict, reason FROM audits").to_arrow_table().to_pylist(),
            con.sql("SELECT * FROM measurements ORDER BY rowid").to_arrow_table(),
            con.sql("SELECT * FROM controls ORDER BY rowid").to_arrow_table(),
        )

    def _converted(self) -> Iterator[tuple[str, dict[str, pa.Table]]]:
        assert self.measurements is not None
        assert self.controls is not None
        measured, controls = self.measurements.to_pylist(), self.controls.to_pylist()
        by_audit: dict[str, tuple[list, list]] = {a["audit_id"]: ([], []) for a in self.audits}
        for side, rows in enumerate((measured, controls)):
            for row in rows:
                by_audit[row["audit_id"]][side].append(row)
        for audit in self.audits:
            own, checks = by_audit[audit["audit_id"]]
            tables = legacy.results(
                audit,
                legacy.measurements_of(pa.Table.from_pylist(own, self.measurements.schema)),
                legacy.controls_of(pa.Table.from_pylist(checks, self.controls.schema)),
            )
            yield audit["audit_id"], tables

    def write(self, con: duckdb.DuckDBPyConnection) -> None:
        """Put all of it where it belongs now, and count it."""
        for audit_id, tables in self._converted():
            for name in _COUNTED:
                con.register("converted", tables[name])
                con.execute(f"INSERT INTO {name} BY NAME SELECT * FROM converted")
                con.unregister("converted")
                con.execute(
                    "DELETE FROM contents WHERE bundle_id = ? AND table_name = ?", [audit_id, name]
                )
                con.execute(
                    "INSERT INTO contents VALUES (?, ?, ?)",
                    [audit_id, name, tables[name].num_rows],
                )


def registry_digest() -> str:
    """What the table `metrics` is made of."""
    return digest([repr(metric) for metric in METRICS.values()])


def write_metrics(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table `metrics` anew from the registry."""
    con.execute("DELETE FROM metrics")
    for m in METRICS.values():
        con.execute(
            "INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                m.name,
                m.unit,
                m.low,
                m.high,
                m.worse,
                m.at,
                m.chance,
                m.percent,
                f"metric.{m.name}",
            ],
        )
