"""A risk calculation as files: one audit seen through one profile, and what it forecasts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RISK_RUNS = pa.schema(
    [
        ("risk_id", pa.string()),
        ("audit_id", pa.string()),
        ("profile", pa.string()),
        ("profile_digest", pa.string()),
        ("code_version", pa.string()),
        ("computed_at", pa.timestamp("us", tz="UTC")),
    ]
)
RISK_ESTIMATES = pa.schema(
    [
        ("risk_id", pa.string()),
        ("audit_id", pa.string()),
        ("option", pa.string()),
        ("quantity", pa.string()),
        ("unit", pa.string()),
        ("value", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("basis", pa.string()),
    ]
)
FORECASTS = pa.schema(
    [
        ("risk_id", pa.string()),
        ("audit_id", pa.string()),
        ("option", pa.string()),
        ("event", pa.string()),
        ("probability", pa.float64()),
        ("within_years", pa.float64()),
    ]
)


@dataclass(frozen=True)
class RiskRun:
    """The row of `risk_runs`. `risk_id` is a digest of audit, profile, options and code."""

    risk_id: str
    audit_id: str
    profile: str
    profile_digest: str
    code_version: str
    computed_at: datetime


def write_risk(
    folder: Path,
    run: RiskRun,
    estimates: Iterable[DataclassInstance],
    forecasts: Iterable[DataclassInstance] = (),
) -> None:
    """Write a risk calculation into an existing, empty folder, which `History.append` takes.

    `estimates` and `forecasts` are dataclasses whose fields are the columns of `RISK_ESTIMATES`
    and `FORECASTS`; the two ids come from `run`.
    """
    ids: Mapping[str, object] = {"risk_id": run.risk_id, "audit_id": run.audit_id}
    tables = {
        "risk_runs": pa.Table.from_pylist([asdict(run)], schema=RISK_RUNS),
        "risk_estimates": pa.Table.from_pylist(
            [{**asdict(row), **ids} for row in estimates], schema=RISK_ESTIMATES
        ),
        "forecasts": pa.Table.from_pylist(
            [{**asdict(row), **ids} for row in forecasts], schema=FORECASTS
        ),
    }
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
