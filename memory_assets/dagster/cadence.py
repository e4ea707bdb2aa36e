"""The audit plan in force: what is due is audited again; what came out the same is due later."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from memory_assets.config.classifier import AuditedSubject
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.kinds import kind_of
from memory_assets.errors import InputError
from memory_assets.history.questions import ask
from memory_assets.workflows.home import Home

EVERY_DAY = "0 5 * * *"

_DUE = """
    SELECT audited_version
    FROM audits_due
    WHERE subject = $subject AND by_cadence
"""


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
    def due(
        context: dg.ScheduleEvaluationContext, home: dg.ResourceParam[Home]
    ) -> list[dg.RunRequest] | dg.SkipReason:
        try:
            found = ask(home.root, _DUE, {"subject": subject.subject})
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
