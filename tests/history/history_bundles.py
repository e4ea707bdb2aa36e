"""Small audits for the tests of the history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from memory_assets.history.bundle import Audit, AuditBundle
from memory_assets.results.estimate import Control, Estimate, Measurement
from memory_assets.results.findings import legacy
from memory_assets.results.record_scores import RECORD_SCORES
from memory_assets.store.digest import digest

TABLES = ("audits", "measurements", "controls", "gate_results", "findings", "record_scores")
START = datetime(2026, 1, 1, tzinfo=UTC)


def rate(value: float, half: float = 0.01, n: int = 1000) -> Estimate:
    return Estimate(value, value - half, value + half, n=n, k=round(value * n))


def measured(
    metric: str, estimate: Estimate, family: str = "membership", name: str = "lira_online"
) -> Measurement:
    return Measurement(family, name, metric, "probability", estimate, formula_version=1)


def scores(audit_id: str, n: int = 6, seed: int = 0) -> pa.Table:
    """Scores of n records by two attacks; the even records are members."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        low, high = sorted(rng.uniform(-1, 1, 2).tolist())
        for attack in ("loss", "lira_online"):
            rows.append(
                {
                    "audit_id": audit_id,
                    "record_id": f"r{i}",
                    "member": i % 2 == 0,
                    "attack": attack,
                    "score": float(rng.normal()),
                    "memorization": (low + high) / 2,
                    "memorization_low": low,
                    "memorization_high": high,
                    "influence": float(rng.normal()),
                }
            )
    return pa.Table.from_pylist(rows, schema=RECORD_SCORES)


def bundle(
    subject: str = "digits",
    version: str = "v1",
    day: float = 0,
    measurements: tuple[Measurement, ...] = (),
    controls: tuple[Control, ...] = (
        Control("negative_control", True, 0.5, 0.45, 0.55, legacy("the instrument sees nothing")),
    ),
    record_scores: pa.Table | None = None,
    weights: str = "",
    records: int = 6,
) -> AuditBundle:
    model_digest = digest(subject, version, weights)
    audit_id = digest(subject, version, weights, day)
    finished = START + timedelta(days=day)
    return AuditBundle(
        audit=Audit(
            audit_id=audit_id,
            subject=subject,
            kind="classifier",
            model_version=version,
            model_digest=model_digest,
            data_digest=digest("data"),
            pool_digest=digest("pool"),
            config_digest=digest("config"),
            code_version="0.1.0",
            device="cpu",
            started_at=finished - timedelta(minutes=1),
            finished_at=finished,
            verdict="inconclusive",
            findings=legacy("a test"),
        ),
        measurements=measurements or (measured("auc", rate(0.6)),),
        controls=controls,
        record_scores=scores(audit_id, records) if record_scores is None else record_scores,
    )


def written(folder: Path, made: AuditBundle) -> Path:
    """The bundle as a folder of its own under `folder`."""
    path = folder / made.audit.audit_id
    path.mkdir(parents=True)
    made.write(path)
    return path
