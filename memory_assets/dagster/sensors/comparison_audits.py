"""Audits that are recorded after a version was priced reach the prices that read them.

The history hangs below the prices, so it can be no input of theirs in the graph. What stands for
it is an asset whose data version of a model version digests the ids of the audits that its price
reads: a re-audit is an event of those prices alone, and a price, which is no audit, of none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg

from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.markdown import as_text
from memory_assets.dagster.sensors.watching import DATA_VERSION
from memory_assets.errors import InputError
from memory_assets.store.digest import digest
from memory_assets.workflows.comparison_audits import audits_beside
from memory_assets.workflows.home import Home

NAME = "neighbours"


def neighbours_specs(graph: SubjectGraph) -> list[dg.AssetSpec]:
    """What a price reads of other versions, as an asset; none where nothing is priced."""
    if not graph.subject.priced:
        return []
    return [
        dg.AssetSpec(
            graph.key(NAME),
            group_name=graph.subject.slug,
            owners=[graph.subject.owner],
            kinds={"duckdb"},
            partitions_def=graph.versions,
            description=(
                "The recorded audits that the price of a version reads besides its own: those of "
                "versions and recipes that an option of the profile was built by, and of the "
                "last release that leaves a prior. Another audit among them prices anew."
            ),
        )
    ]


def _event(key: dg.AssetKey, version: str, audits: Mapping[str, str]) -> dg.AssetMaterialization:
    lines = (f"- {as_text(name)}: audit {audit[:12]}" for name, audit in audits.items())
    return dg.AssetMaterialization(
        asset_key=key,
        partition=version,
        description=f"{len(audits)} audits",
        metadata={"audits": dg.MetadataValue.md("\n".join(lines))},
        tags={DATA_VERSION: digest(audits)},
    )


def _reported(
    instance: dg.DagsterInstance, key: dg.AssetKey, versions: Sequence[str]
) -> dict[str, str | None]:
    """The data versions last heard of, by model version."""
    # Two questions for a subject, not one for each of hundreds of versions.
    latest = instance.get_latest_storage_id_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION, set(versions)
    )
    if not latest:
        return {}
    wanted = dg.AssetRecordsFilter(asset_key=key, storage_ids=list(latest.values()))
    events = (
        record.asset_materialization
        for record in instance.fetch_materializations(wanted, limit=len(latest)).records
    )
    return {
        event.partition: (event.tags or {}).get(DATA_VERSION)
        for event in events
        if event is not None and event.partition is not None
    }


def neighbour_events(
    graph: SubjectGraph,
    instance: dg.DagsterInstance,
    home: Home,
    released: Sequence[str],
    versions: Sequence[str],
) -> list[dg.AssetMaterialization]:
    """What of these versions is to be reported: where other audits are read than last heard of.

    `released` is all versions in order of release. A version that was never reported is, with
    nothing beside it, too: its price waits for that.
    """
    if not (graph.subject.priced and versions):
        return []
    key = graph.key(NAME)
    reported = _reported(instance, key, versions)
    try:
        found = audits_beside(home, graph.subject, released)
    except InputError:
        # A history that cannot be read must not hold back an audit; whoever reads it says so.
        found = {}
    events = []
    for version in versions:
        if version not in found and version in reported:
            continue
        event = _event(key, version, found.get(version, {}))
        if (event.tags or {})[DATA_VERSION] != reported.get(version):
            events.append(event)
    return events


def report_neighbours(
    graph: SubjectGraph,
    instance: dg.DagsterInstance,
    home: Home,
    released: Sequence[str],
    versions: Sequence[str],
) -> None:
    """What the sensor does, at once and without a daemon."""
    for event in neighbour_events(graph, instance, home, released, versions):
        instance.report_runless_asset_event(event)
