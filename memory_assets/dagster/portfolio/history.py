"""What every subject's audits flow into: the history that SQL is asked of."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from memory_assets.config.classifier import AuditedSubject
from memory_assets.dagster.automation import on_any_version
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.confirmations import AUDIT_ID, RISK_ID, last_run, last_runs
from memory_assets.dagster.failures import clear_failures
from memory_assets.dagster.kinds import kind_of
from memory_assets.dagster.releases import released
from memory_assets.history.schema import sql_version
from memory_assets.workflows.home import Home


def _released(subject: AuditedSubject, root: Path, home: Path) -> list[str]:
    """The versions of a subject, oldest first; none where its folder cannot be read now."""
    try:
        return released(subject, root, home)
    except OSError:
        return []  # what was registered before stays, and the other subjects are recorded


def history_asset(subjects: Sequence[AuditedSubject], root: Path) -> dg.AssetsDefinition:
    """The asset below every subject's reports, of all versions."""
    reports = [dg.AssetKey([subject.subject, "roi_report"]) for subject in subjects]
    options = [
        option.key("leakage")
        for subject in subjects
        for option in kind_of(subject).options(SubjectGraph(subject, root))
    ]

    @dg.asset(
        key=dg.AssetKey(["portfolio", "history"]),
        group_name="portfolio",
        owners=["team:privacy"],
        kinds={"duckdb"},
        code_version=sql_version(),
        automation_condition=on_any_version(),
        deps=[dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping()) for key in reports]
        + [dg.AssetDep(key) for key in options],
        description=(
            "Every audit ever made, in DuckDB: appended whole, never twice, never changed. "
            "Readers open the published file at any time; ask it with `memory-assets query`."
        ),
    )
    def history(
        context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]
    ) -> dg.MaterializeResult:
        from memory_assets.workflows.record import record_audits, recorded_version

        with clear_failures():
            # Listed now and not when the run began: the order of releases is written down for good.
            versions = {s.subject: _released(s, root, home.root) for s in subjects}
            recorded = record_audits(home, subjects, versions)
            known, instance = home.history, context.instance
            audits = last_runs(instance, versions, "leakage", AUDIT_ID)
            for option in options:
                audits |= last_run(instance, option, AUDIT_ID)
            known.confirm(audits)
            known.put_in_force(audits | last_runs(instance, versions, "risk", RISK_ID))
            version = recorded_version(home)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(version),
            metadata={
                "audits added": recorded.added,
                "dagster/row_count": recorded.audits,
                "path": dg.MetadataValue.path(str(recorded.path)),
            },
        )

    return history
