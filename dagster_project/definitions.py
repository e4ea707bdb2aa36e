"""The only entry point of the lineage graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from dagster_project.automation import RUN_BY_AUTOMATION
from dagster_project.cadence import cadence_schedule
from dagster_project.components.classifier_audit import ClassifierAudit  # noqa: F401
from dagster_project.components.language_model_audit import LanguageModelAudit  # noqa: F401
from dagster_project.defs.portfolio.dashboard import dashboard_asset
from dagster_project.defs.portfolio.history import history_asset
from dagster_project.executors import executor
from dagster_project.instance import keep_private
from dagster_project.references import reference_io_manager
from dagster_project.sensors.abandoned import abandoned_runs
from dagster_project.sensors.notices import failures_sensor, notices_sensor
from dagster_project.subjects import read_subjects
from memory_assets.subjects import AuditedSubject

PROJECT_ROOT = Path(__file__).parents[1]
AUTOMATION_INTERVAL_SECONDS = 5


def with_portfolio(
    graphs: dg.Definitions, subjects: Sequence[AuditedSubject], root: Path
) -> dg.Definitions:
    """The subjects' graphs with what spans them, and the sensors that keep all up to date."""
    portfolio = dg.Definitions(
        assets=[(history := history_asset(subjects, root)), dashboard_asset(history.key)],
        sensors=[
            dg.AutomationConditionSensorDefinition(
                "automation",
                target=dg.AssetSelection.all(),
                default_status=dg.DefaultSensorStatus.RUNNING,
                minimum_interval_seconds=AUTOMATION_INTERVAL_SECONDS,
                description="Recomputes what changed, and only that.",
                run_tags={RUN_BY_AUTOMATION: "yes"},
                # A version is one run: a backfill over versions would be another thing to wait for.
                emit_backfills=False,
            ),
            abandoned_runs,
            notices_sensor(root),
            failures_sensor(root),
        ],
        schedules=[cadence_schedule(subject, root) for subject in subjects],
        resources={"io_manager": reference_io_manager},
        executor=executor(),
    )
    return dg.Definitions.merge(graphs, portfolio)


def build_definitions(root: Path = PROJECT_ROOT) -> dg.Definitions:
    """Every subject under `defs/`, and what spans them."""
    # Ours first: it refuses what YAML can do to a reader, and says so in one line.
    subjects = read_subjects(root)
    graphs = dg.load_from_defs_folder(path_within_project=root)
    return with_portfolio(graphs, list(subjects.values()), root)


@dg.definitions
def defs() -> dg.Definitions:
    keep_private()
    return build_definitions()
