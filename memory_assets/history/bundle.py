"""A whole audit as files: what the history appends, what the report shows, what a rebuild reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from memory_assets.results.estimate import Control, Estimate, Measurement, Verdict
from memory_assets.results.record_scores import as_record_scores

MEASUREMENTS = pa.schema(
    [
        ("audit_id", pa.string()),
        ("family", pa.string()),
        ("name", pa.string()),
        ("stratum", pa.string()),
        ("metric", pa.string()),
        ("unit", pa.string()),
        ("value", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("k", pa.int64()),
        ("n", pa.int64()),
        ("status", pa.string()),
        ("formula_version", pa.int32()),
    ]
)
CONTROLS = pa.schema(
    [
        ("audit_id", pa.string()),
        ("control", pa.string()),
        ("value", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("passed", pa.bool_()),
        ("detail", pa.string()),
    ]
)
_UTC = pa.timestamp("us", tz="UTC")
AUDITS = pa.schema(
    [
        ("audit_id", pa.string()),
        ("subject", pa.string()),
        ("kind", pa.string()),
        ("model_version", pa.string()),
        ("model_digest", pa.string()),
        ("data_digest", pa.string()),
        ("pool_digest", pa.string()),
        ("config_digest", pa.string()),
        ("code_version", pa.string()),
        ("device", pa.string()),
        ("started_at", _UTC),
        ("finished_at", _UTC),
        ("verdict", pa.string()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class Audit:
    """The row of `audits`: which model, data, pool, configuration and code; and the verdict.

    `audit_id` is a digest of all the digests below, not of the clock: the same audit run twice
    has the same id, which is what makes an append idempotent. Times are aware and in UTC.
    """

    audit_id: str
    subject: str
    kind: Literal["classifier", "language_model"]
    model_version: str
    model_digest: str
    data_digest: str
    pool_digest: str
    config_digest: str
    code_version: str
    device: str
    started_at: datetime
    finished_at: datetime
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class AuditBundle:
    """One audit, whole: its row, its measurements, its controls, its scores by record.

    `record_scores` follows the schema `RECORD_SCORES`; on disk a bundle is a folder with one
    Parquet file a table, so that DuckDB can insert it without Python in between.
    """

    audit: Audit
    measurements: tuple[Measurement, ...]
    controls: tuple[Control, ...]
    record_scores: pa.Table

    def write(self, folder: Path) -> None:
        """Write the four tables into an existing, empty folder."""
        audit_id = self.audit.audit_id
        tables = {
            "audits": pa.Table.from_pylist([asdict(self.audit)], schema=AUDITS),
            "measurements": measurements_table(self.measurements, audit_id),
            "controls": controls_table(self.controls, audit_id),
            "record_scores": as_record_scores(self.record_scores),
        }
        for name, table in tables.items():
            pq.write_table(table, folder / f"{name}.parquet")

    @classmethod
    def read(cls, folder: Path) -> AuditBundle:
        """Read a bundle back, equal to what was written."""
        rows = {
            name: pq.read_table(folder / f"{name}.parquet")
            for name in ("audits", "measurements", "controls", "record_scores")
        }
        return cls(
            audit=Audit(**rows["audits"].to_pylist()[0]),
            measurements=measurements_from(rows["measurements"]),
            controls=controls_from(rows["controls"]),
            record_scores=rows["record_scores"],
        )


def measurements_table(measurements: Iterable[Measurement], audit_id: str = "") -> pa.Table:
    """Measurements as rows of the table `measurements`."""
    rows = []
    for measurement in measurements:
        row = asdict(measurement)
        rows.append({"audit_id": audit_id, **row, **row["estimate"]})
    return pa.Table.from_pylist(rows, schema=MEASUREMENTS)


def measurements_from(table: pa.Table) -> tuple[Measurement, ...]:
    """The measurements of a table, equal to those it was made from."""
    found = []
    for row in table.to_pylist():
        estimate = Estimate(**{f.name: row[f.name] for f in fields(Estimate)})
        rest = {f.name: row[f.name] for f in fields(Measurement) if f.name != "estimate"}
        found.append(Measurement(estimate=estimate, **rest))
    return tuple(found)


def controls_table(controls: Iterable[Control], audit_id: str = "") -> pa.Table:
    """Controls as rows of the table `controls`."""
    rows = [{"audit_id": audit_id, **asdict(control)} for control in controls]
    return pa.Table.from_pylist(rows, schema=CONTROLS)


def controls_from(table: pa.Table) -> tuple[Control, ...]:
    """The controls of a table, equal to those it was made from."""
    names = [f.name for f in fields(Control)]
    return tuple(Control(**{name: row[name] for name in names}) for row in table.to_pylist())
