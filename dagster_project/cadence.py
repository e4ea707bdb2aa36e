"""The audit plan in force: what is due is audited again; what came out the same is due later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from dagster_project.components.options import SubjectGraph
from dagster_project.kinds import kind_of
from memory_assets.artifacts import home
from memory_assets.errors import InputError
from memory_assets.history.questions import ask
from memory_assets.subjects import AuditedSubject

EVERY_DAY = "0 5 * * *"
AUDIT_ID = "audit id"
"""Metadata of a `leakage` materialization: the audit that it came to."""

_DUE = """
    SELECT audited_version
    FROM audits_due
    WHERE subject = $subject AND starts_with(reason, 'every ')
"""


RISK_ID = "risk id"
"""Metadata of a `risk` materialization: the risk calculation that it came to."""


def last_runs(
    instance: dg.DagsterInstance, released: Mapping[str, Sequence[str]], asset: str, ids: str
) -> dict[str, datetime]:
    """When each audit or price was last asked for, by its id, from what Dagster remembers.

    `asset` is `leakage` or `risk`, `ids` the metadata that holds the id.
    """
    runs: dict[str, datetime] = {}
    for subject, versions in released.items():
        key = dg.AssetKey([subject, asset])
        # Two questions for a subject, not one for each of hundreds of versions.
        latest = instance.get_latest_storage_id_by_partition(
            key, dg.DagsterEventType.ASSET_MATERIALIZATION, set(versions)
        )
        if not versions or not latest:
            continue
        wanted = dg.AssetRecordsFilter(asset_key=key, storage_ids=list(latest.values()))
        for record in instance.fetch_materializations(wanted, limit=len(latest)).records:
            event = record.asset_materialization
            found = event.metadata.get(ids) if event else None
            if found is not None:
                runs[str(found.value)] = datetime.fromtimestamp(record.timestamp, UTC)
    return runs


def cadence_schedule(subject: AuditedSubject, root: Path) -> dg.ScheduleDefinition:
    """Every day, audits the newest version of a subject again if its audit is due.

    Nothing is computed twice: what is unchanged is found in the store. The history notes that the
    audit was run again and came out the same.
    """
    graph = SubjectGraph(subject, root)
    names = (*kind_of(subject).version, "risk", "audit_plan", "roi_report")
    keys = [graph.key(name) for name in names]
    job = dg.define_asset_job(
        f"{subject.slug}_due",
        selection=dg.AssetSelection.assets(*keys),
        description=f"One version of {subject.subject}, audited again.",
    )

    @dg.schedule(
        name=f"{subject.slug}_cadence",
        job=job,
        cron_schedule=EVERY_DAY,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Audits {subject.subject} again when its audit is due.",
    )
    def due(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        try:
            found = ask(home(), _DUE, {"subject": subject.subject})
        except InputError as error:
            return dg.SkipReason(str(error))
        versions = found["audited_version"].to_pylist()
        if not versions:
            return dg.SkipReason("no audit is due")
        day = context.scheduled_execution_time.date()
        return [
            dg.RunRequest(f"{day}:{version}", partition_key=version, asset_selection=keys)
            for version in versions
        ]

    return due
