"""A whole audit as files: what the history appends, what the report shows, what a rebuild reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from memory_assets.history import legacy
from memory_assets.results.estimate import Control, Measurement, Verdict
from memory_assets.results.findings import Finding, render_all
from memory_assets.results.gate_results import GateResult
from memory_assets.results.record_scores import as_record_scores
from memory_assets.results.tables import (
    VERDICT,
    controls_from,
    controls_table,
    findings_from,
    findings_table,
    gate_results_from,
    gate_results_table,
    measurements_from,
    measurements_table,
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
        ("mitigation", pa.string()),
    ]
)


@dataclass(frozen=True)
class Audit:
    """The row of `audits`: which model, data, pool, configuration and code; and the verdict.

    `audit_id` is a digest of all the digests below, not of the clock: the same audit run twice
    has the same id, which is what makes an append idempotent. Times are aware and in UTC.
    `mitigation` names the mitigated recipe, where no version of the owner's was audited but a model
    that was trained here. `findings` say why the verdict is what it is.
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
    mitigation: str | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def reason(self) -> str:
        """The findings in English."""
        return render_all(self.findings)


@dataclass(frozen=True)
class AuditBundle:
    """One audit, whole: its row, its measurements, controls, limits, and scores by record.

    `record_scores` follows the schema `RECORD_SCORES`; on disk a bundle is a folder with one
    Parquet file a table, so that DuckDB can insert it without Python in between. What was found
    about the verdict, the controls and the limits stands together in `findings.parquet`.
    """

    audit: Audit
    measurements: tuple[Measurement, ...]
    controls: tuple[Control, ...]
    record_scores: pa.Table
    gate_results: tuple[GateResult, ...] = ()

    def tables(self) -> dict[str, pa.Table]:
        """The tables of the bundle, by name."""
        row = asdict(self.audit)
        row = {name: row[name] for name in AUDITS.names}
        audit_id, verdict, why = self.audit.audit_id, self.audit.verdict, self.audit.findings
        found = findings_table(self.controls, self.gate_results, verdict, why, audit_id)
        return {
            "audits": pa.Table.from_pylist([row], schema=AUDITS),
            "measurements": measurements_table(self.measurements, audit_id),
            "controls": controls_table(self.controls, audit_id),
            "gate_results": gate_results_table(self.gate_results, audit_id),
            "findings": found,
            "record_scores": as_record_scores(self.record_scores),
        }

    @classmethod
    def of_tables(cls, tables: Mapping[str, pa.Table]) -> AuditBundle:
        """The bundle that `tables` was made of."""
        said = findings_from(tables["findings"])
        row = tables["audits"].to_pylist()[0]
        return cls(
            audit=Audit(**row, findings=said.get((VERDICT, ""), ())),
            measurements=measurements_from(tables["measurements"]),
            controls=controls_from(tables["controls"], said),
            record_scores=tables["record_scores"],
            gate_results=gate_results_from(tables["gate_results"], said),
        )

    def write(self, folder: Path) -> None:
        """Write the tables into an existing, empty folder."""
        for name, table in self.tables().items():
            pq.write_table(table, folder / f"{name}.parquet")

    @classmethod
    def read(cls, folder: Path) -> AuditBundle:
        """Read a bundle back, equal to what was written; one of an older version, converted."""
        return cls.of_tables(read_tables(folder))


def measurements_in(file: Path) -> tuple[Measurement, ...]:
    """The measurements of a Parquet file between two steps, whichever version wrote it."""
    table = pq.read_table(file)
    if "stratum" in table.column_names:
        return tuple(legacy.measurements_of(table))
    return measurements_from(table)


def read_tables(folder: Path) -> dict[str, pa.Table]:
    """The tables of a bundle as they are stored today, whichever version wrote it."""
    found = {path.stem: pq.read_table(path) for path in sorted(folder.glob("*.parquet"))}
    return legacy.tables(found) if legacy.is_old(found["audits"].schema) else found
