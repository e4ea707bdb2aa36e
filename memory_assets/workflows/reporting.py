"""From a concluded audit to the page that people read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from memory_assets.config.classifier import AuditedSubject
from memory_assets.errors import InputError
from memory_assets.history.bundle import Audit, AuditBundle
from memory_assets.history.files import Files
from memory_assets.history.questions import ask, to_csv, trend
from memory_assets.reports.catalogue import LANGUAGES
from memory_assets.reports.extracted import read_recited
from memory_assets.reports.inputs import TREND, ActionLine, NotRun, ReportInput
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.store.digest import digest, digest_file
from memory_assets.store.disk import write_private
from memory_assets.workflows.coverage import not_run
from memory_assets.workflows.results import AttackResults

_WORDED = {".py", ".toml", ".css"}
_INPUTS = ("coverage.py", "portfolio.py", "reporting.py")
_ACTIONS = """
    select model_version, kind, description, owner, status, due_on,
        cast(recorded_at as date) as recorded_on,
        model_version = $version and signed_for(audit_id, recorded_at, $audit, $finished_at)
            as of_this_audit
    from current_actions where subject = $subject order by recorded_at, action_id
"""


def pages_version() -> str:
    """Digest of all that words and draws the pages: code, style, and texts in every language.

    No figure is computed there, so a page follows every change of it: what is reworded, retitled
    or redrawn is written anew of every audit.
    """
    package = Path(__file__).parents[1]
    rooms = [package / "reports", package / "results" / "sentences"]
    files = [path for room in rooms for path in room.rglob("*") if path.suffix in _WORDED]
    files += [package / "workflows" / name for name in _INPUTS]
    return digest({str(p.relative_to(package)): digest_file(p) for p in files})[:12]


def _until_then(store: ArtifactStore, audit: Audit) -> pa.Table:
    """The trend of a subject's audits up to this one; none before the first is recorded."""
    if not Files(store.root).published.is_file():
        return TREND.empty_table()
    known = trend(store.root, audit.subject).rename_columns({"audited_at": "finished_at"})
    known = known.select(TREND.names)
    return known.filter(pc.field("finished_at") <= audit.finished_at)


def _actions(store: ArtifactStore, audit: Audit) -> tuple[ActionLine, ...]:
    """The corrective actions and sign-offs of a subject as they stand, oldest first."""
    if not Files(store.root).published.is_file():
        return ()
    asked = {
        "subject": audit.subject,
        "version": audit.model_version,
        "audit": audit.audit_id,
        "finished_at": audit.finished_at,
    }
    rows = ask(store.root, _ACTIONS, asked).to_pylist()
    return tuple(ActionLine(**row) for row in rows)


def _is_sound(page: Path) -> bool:
    """Whether a page is there, and as it was written."""
    from memory_assets.reports.page import verify

    try:
        return verify(page)
    except InputError:
        return False


def page_key(
    subject: AuditedSubject,
    audit_id: str,
    priced: Path | None,
    earlier: pa.Table,
    actions: Sequence[ActionLine],
    left_out: Sequence[NotRun],
) -> str:
    """Digest of all that a page shows, and of how it says it."""
    return digest(
        pages_version(),
        audit_id,
        to_csv(earlier),
        [subject.title, subject.owner, subject.cadence_days],
        priced.name if priced else None,
        [str(line) for line in (*actions, *left_out)],
    )


def write_report(
    subject: AuditedSubject,
    store: ArtifactStore,
    bundle: AuditBundle,
    attacks: Sequence[Path],
    priced: Path | None,
    root: Path,
) -> dict[str, Path]:
    """Write the pages of one audit under `<home>/reports/<subject>/<version>`, by language.

    `attacks` are the folders that attacks left; what was recited stands in the first. Pages that
    were made from the same inputs stay as they are.

    Raises:
        InputError: a version whose name is no folder name.
    """
    from memory_assets.reports.page import write_report as write_pages
    from memory_assets.workflows.pricing import next_audit_days, profile_of, read_risk

    version = bundle.audit.model_version
    folder = store.root / "reports" / subject.subject / version
    if folder.parent != store.root / "reports" / subject.subject or version in (".", ".."):
        raise InputError(f"version {version!r}: its name cannot name a folder; rename the file")
    earlier = _until_then(store, bundle.audit)
    actions = _actions(store, bundle.audit)
    left_out = not_run(subject, bundle)
    inputs = page_key(subject, bundle.audit.audit_id, priced, earlier, actions, left_out)
    marker = folder / ".inputs"
    pages = {lang: folder / f"{lang}.html" for lang in LANGUAGES}
    same = marker.is_file() and marker.read_text(encoding="utf-8") == inputs
    if same and all(_is_sound(page) for page in pages.values()):
        return pages
    marker.unlink(missing_ok=True)
    risk = read_risk(priced) if priced else None
    days = next_audit_days(risk, subject.cadence_days)
    found = ReportInput(
        bundle=bundle,
        curves=tuple(curve for each in attacks for curve in AttackResults.load(each).curves),
        trend=earlier,
        title=subject.title,
        owner=subject.owner,
        gate=subject.gate,
        not_run=left_out,
        recited=read_recited(attacks[0]),
        artifacts={
            "attack scores": ", ".join(a.name for a in attacks),
            **({"risk": priced.name} if priced else {}),
        },
        next_audit=bundle.audit.finished_at.date() + timedelta(days=days),
        risk=risk,
        profile=profile_of(subject, root),
        actions=actions,
    )
    pages = write_pages(found, folder)
    write_private(marker, inputs)
    return pages
