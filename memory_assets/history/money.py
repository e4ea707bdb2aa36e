"""A risk calculation as files: one audit seen through one profile, and what it forecasts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_UTC = pa.timestamp("us", tz="UTC")
RISK_RUNS = pa.schema(
    [
        ("risk_id", pa.string()),
        ("audit_id", pa.string()),
        ("profile", pa.string()),
        ("profile_digest", pa.string()),
        ("code_version", pa.string()),
        ("computed_at", _UTC),
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
        ("event", pa.string()),
        ("probability", pa.float64()),
        ("made_at", _UTC),
        ("due_at", _UTC),
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


@dataclass(frozen=True)
class RiskEstimate:
    """One row of `risk_estimates`; `basis` is the weakest among the inputs it rests on."""

    option: str
    quantity: str
    unit: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    basis: str


@dataclass(frozen=True)
class Forecast:
    """One row of `forecasts`: an event, how likely it is, and when it can be judged."""

    event: str
    probability: float
    made_at: datetime
    due_at: datetime


@dataclass(frozen=True)
class RiskBundle:
    """One risk calculation, whole. `write` makes the folder that `History.append` takes."""

    run: RiskRun
    estimates: tuple[RiskEstimate, ...]
    forecasts: tuple[Forecast, ...] = ()

    def write(self, folder: Path) -> None:
        """Write the three tables into an existing, empty folder."""
        ids = {"risk_id": self.run.risk_id, "audit_id": self.run.audit_id}
        tables = {
            "risk_runs": pa.Table.from_pylist([asdict(self.run)], schema=RISK_RUNS),
            "risk_estimates": pa.Table.from_pylist(
                [ids | asdict(e) for e in self.estimates], schema=RISK_ESTIMATES
            ),
            "forecasts": pa.Table.from_pylist(
                [ids | asdict(f) for f in self.forecasts], schema=FORECASTS
            ),
        }
        for name, table in tables.items():
            pq.write_table(table, folder / f"{name}.parquet")
