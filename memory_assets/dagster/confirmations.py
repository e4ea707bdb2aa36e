"""Which audit or price a materialization came to, and when each was last asked for.

An audit that is run again and comes out the same is the same audit: only Dagster remembers that it
was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

AUDIT_ID = "audit id"
"""Metadata of a `leakage` materialization: the audit that it came to."""
RISK_ID = "risk id"
"""Metadata of a `risk` materialization: the risk calculation that it came to."""


def _asked(
    instance: dg.DagsterInstance, of: dg.AssetKey | dg.AssetRecordsFilter, most: int, ids: str
) -> dict[str, datetime]:
    """What the newest of these materializations came to, and when each was asked for."""
    runs: dict[str, datetime] = {}
    for record in instance.fetch_materializations(of, limit=most).records:
        event = record.asset_materialization
        found = event.metadata.get(ids) if event else None
        if found is not None:
            runs[str(found.value)] = datetime.fromtimestamp(record.timestamp, UTC)
    return runs


def last_run(instance: dg.DagsterInstance, key: dg.AssetKey, ids: str) -> dict[str, datetime]:
    """When the audit of an asset without versions was last asked for, by its id; else nothing."""
    return _asked(instance, key, 1, ids)


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
        runs |= _asked(instance, wanted, len(latest), ids)
    return runs
