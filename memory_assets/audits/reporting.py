"""From a concluded audit to the page that people read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from memory_assets.artifacts import ArtifactStore
from memory_assets.attacks.registry import ATTACKS, select
from memory_assets.audits.results import AttackResults
from memory_assets.errors import InputError
from memory_assets.history.bundle import AuditBundle
from memory_assets.history.questions import trend
from memory_assets.reports.inputs import TREND, NotRun, ReportInput
from memory_assets.reports.page import write_report as write_pages
from memory_assets.subjects import ClassifierSubject

REPORT_VERSION = "1"


def _earlier(store: ArtifactStore, subject: str) -> pa.Table:
    """The trend of a subject's audits so far; none before the first one is recorded."""
    if not (store.root / "history.duckdb").is_file():
        return TREND.empty_table()
    return trend(store.root, subject)


def write_report(
    subject: ClassifierSubject, store: ArtifactStore, bundle: AuditBundle, attacks: Path
) -> dict[str, Path]:
    """Write the pages of one audit under `<home>/reports/<subject>/<version>`, by language.

    Raises:
        InputError: a version whose name is no folder name.
    """
    version = bundle.audit.model_version
    folder = store.root / "reports" / subject.subject / version
    if folder.parent != store.root / "reports" / subject.subject or version in (".", ".."):
        raise InputError(f"version {version!r}: its name cannot name a folder; rename the file")
    chosen = {attack.name for attack in select(subject.attacks, subject.pool.models)}
    found = ReportInput(
        bundle=bundle,
        curves=AttackResults.load(attacks).curves,
        trend=_earlier(store, subject.subject),
        title=subject.title,
        owner=subject.owner,
        gate=subject.gate,
        not_run=tuple(
            NotRun(name, "not_selected") for name in ATTACKS if name not in chosen
        ),
        artifacts={"attack scores": attacks.name},
        next_audit=bundle.audit.finished_at.date() + timedelta(days=subject.cadence_days),
    )
    return write_pages(found, folder)
