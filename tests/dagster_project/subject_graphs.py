"""The assets of one subject, run in this process without a project around them."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.dagster.components.mitigation_assets import option_assets
from memory_assets.dagster.components.pool_assets import pool_assets
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.components.version_assets import version_assets
from memory_assets.dagster.references import reference_io_manager
from memory_assets.dagster.resources import home_resource, released_resource


def definitions(subject: ClassifierSubject, root: Path) -> dg.Definitions:
    graph = SubjectGraph(subject, root)
    return dg.Definitions(
        assets=[*pool_assets(graph), *version_assets(graph), *option_assets(graph)],
        resources={
            "home": home_resource,
            "released": released_resource,
            "io_manager": reference_io_manager,
        },
    )


def run(
    subject: ClassifierSubject, root: Path, keys: list[dg.AssetKey]
) -> dg.ExecuteInProcessResult:
    job = definitions(subject, root).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(asset_selection=keys, instance=instance, raise_on_error=False)


def metadata(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, object]:
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == key]
    found = event.step_materialization_data.materialization.metadata
    return {name: value.value for name, value in found.items()}
