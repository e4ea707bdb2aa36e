"""From a concluded audit to the page that people read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from memory_assets.artifacts import ArtifactStore
from memory_assets.attacks.registry import ATTACKS, select
from memory_assets.audits.results import AttackResults
from memory_assets.digest import digest
from memory_assets.errors import InputError
from memory_assets.history.bundle import Audit, AuditBundle
from memory_assets.history.questions import to_csv, trend
from memory_assets.reports.catalogue import LANGUAGES
from memory_assets.reports.inputs import TREND, NotRun, ReportInput
from memory_assets.subjects import ClassifierSubject

REPORT_VERSION = "1"


def _until_then(store: ArtifactStore, audit: Audit) -> pa.Table:
    """The trend of a subject's audits up to this one; none before the first is recorded."""
    if not (store.root / "history.duckdb").is_file():
        return TREND.empty_table()
    known = trend(store.root, audit.subject).rename_columns({"audited_at": "finished_at"})
    known = known.select(TREND.names)
    return known.filter(pc.field("finished_at") <= audit.finished_at)


def write_report(
    subject: ClassifierSubject, store: ArtifactStore, bundle: AuditBundle, attacks: Path
) -> dict[str, Path]:
    """Write the pages of one audit under `<home>/reports/<subject>/<version>`, by language.

    Pages that were made from the same inputs stay as they are.

    Raises:
        InputError: a version whose name is no folder name.
    """
    from memory_assets.reports.page import write_report as write_pages

    version = bundle.audit.model_version
    folder = store.root / "reports" / subject.subject / version
    if folder.parent != store.root / "reports" / subject.subject or version in (".", ".."):
        raise InputError(f"version {version!r}: its name cannot name a folder; rename the file")
    chosen = {attack.name for attack in select(subject.attacks, subject.pool.models)}
    earlier = _until_then(store, bundle.audit)
    inputs = digest(
        REPORT_VERSION,
        bundle.audit.audit_id,
        to_csv(earlier),
        [subject.title, subject.owner, subject.cadence_days],
    )
    marker = folder / ".inputs"
    pages = {lang: folder / f"{lang}.html" for lang in LANGUAGES}
    same = marker.is_file() and marker.read_text(encoding="utf-8") == inputs
    if same and all(page.is_file() for page in pages.values()):
        return pages
    marker.unlink(missing_ok=True)
    found = ReportInput(
        bundle=bundle,
        curves=AttackResults.load(attacks).curves,
        trend=earlier,
        title=subject.title,
        owner=subject.owner,
        gate=subject.gate,
        not_run=tuple(NotRun(name, "not_selected") for name in ATTACKS if name not in chosen),
        artifacts={"attack scores": attacks.name},
        next_audit=bundle.audit.finished_at.date() + timedelta(days=subject.cadence_days),
    )
    pages = write_pages(found, folder)
    marker.write_text(inputs, encoding="utf-8")
    return pages
