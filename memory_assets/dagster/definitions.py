"""The lineage graph of a project: what every subject under `defs/` defines, and what spans them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import dagster as dg

# `dg.load_from_defs_folder` leaves no folder out.
from dagster.components.core.component_tree import ComponentTree
from dagster.components.core.decl import (
    ComponentDecl,
    DefsFolderDecl,
    build_filesystem_component_decl_from_context,
)
from dagster.components.core.defs_module import (
    EXPLICITLY_IGNORED_GLOB_PATTERNS,
    ComponentPath,
    DefsFolderComponent,
    context_with_injected_scope,
)

from memory_assets.config.classifier import AuditedSubject
from memory_assets.dagster.automation import RUN_BY_AUTOMATION
from memory_assets.dagster.cadence import cadence_schedule
from memory_assets.dagster.executors import executor
from memory_assets.dagster.portfolio.dashboard import dashboard_asset
from memory_assets.dagster.portfolio.history import history_asset
from memory_assets.dagster.references import reference_io_manager
from memory_assets.dagster.resources import home_resource, released_resource
from memory_assets.dagster.sensors.abandoned import abandoned_runs
from memory_assets.dagster.sensors.notices import failures_sensor, notices_sensor
from memory_assets.dagster.subjects import described, survey
from memory_assets.errors import InputError, place_of

AUTOMATION_INTERVAL_SECONDS = 5
log = logging.getLogger("memory_assets.definitions")


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
        resources={
            "home": home_resource,
            "released": released_resource,
            "io_manager": reference_io_manager,
        },
        executor=executor(),
    )
    return dg.Definitions.merge(graphs, portfolio)


def _load(root: Path, left_out: Collection[str]) -> dg.Definitions:
    """What the folders under `defs/` define, apart from those of these names."""
    if not left_out:
        return dg.load_from_defs_folder(path_within_project=root)
    # Dagster reads all folders or none: so it is told beforehand which ones there are.
    tree = ComponentTree.for_project(root)
    at = ComponentPath.from_path(tree.defs_module_path)
    context = tree.decl_load_context.for_component_loc(at)
    children: dict[Path, ComponentDecl] = {}
    for path in sorted(tree.defs_module_path.iterdir()):
        ignored = any(Path(path.name).match(p) for p in EXPLICITLY_IGNORED_GLOB_PATTERNS)
        if path.name in left_out or ignored:
            continue
        scope = context_with_injected_scope(context, DefsFolderComponent, None)
        child = build_filesystem_component_decl_from_context(
            scope.for_component_loc(ComponentPath.from_path(path))
        )
        if child is not None:
            children[path] = child
    folder = DefsFolderDecl(
        context=context, loc=at, children=children, source_tree=None, component_file_model=None
    )
    tree.state_tracker.set_cache_data(at, component_decl=folder)
    return tree.build_defs()


def load_alone(root: Path, name: str) -> dg.Definitions:
    """The graph of one subject, apart from all others.

    Raises:
        InputError: it cannot be loaded.
    """
    own = survey(root).folders.get(name)
    others = {path.parent.name for path in described(root) if path.parent.name != own}
    try:
        return _load(root, others)
    except Exception as error:
        cause: BaseException = error
        while not isinstance(cause, InputError) and (cause.__cause__ or cause.__context__):
            cause = cause.__cause__ or cause.__context__  # pyright: ignore[reportAssignmentType]
        told = str(cause) if isinstance(cause, InputError) else place_of(cause)
        raise InputError(f"subject {name!r} cannot be loaded: {told}") from error


def _cannot_load(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Which of these subjects cannot be loaded even alone, and why."""
    found = {}
    for name in names:
        try:
            load_alone(root, name)
        except InputError as error:
            found[name] = str(error)
    return found


def build_definitions(root: Path) -> dg.Definitions:
    """Every subject under `defs/` that can be loaded, and what spans them.

    One that cannot is named in the log and left out: it holds back no other.
    """
    # Ours first: it refuses what YAML can do to a reader, and says so in one line.
    project = survey(root)
    subjects, left_out = dict(project.subjects), {one.folder for one in project.unread}
    said = [one.text for one in project.unread]
    try:
        graphs = _load(root, left_out)
    except Exception:
        broken = _cannot_load(root, subjects)
        if not broken:
            raise
        left_out |= {project.folders[name] for name in broken}
        subjects = {name: one for name, one in subjects.items() if name not in broken}
        said += broken.values()
        graphs = _load(root, left_out)
    for line in said:
        log.warning("left out: %s", line)
    return with_portfolio(graphs, list(subjects.values()), root)
