"""Files as a sensor sees them: what changed since the last look, and may it be read already?

A copy takes its time. A file that is looked into while it grows is a broken checkpoint, or a list
of half the members that trains every shadow model anew. So what changed is read when two looks in
a row saw the same sizes and times.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from memory_assets.store.digest import digest_file

INTERVAL_SECONDS = 10
DATA_VERSION = "dagster/data_version"

Stamp = tuple[int, int]
"""Bytes, and nanoseconds of the last change: where both are as they were, so is the file."""


@dataclass(frozen=True)
class Seen:
    """A file as it was read."""

    stamp: Stamp
    digest: str


@dataclass(frozen=True)
class Known:
    """What is remembered of the files behind one thing: as they were read, and last glimpsed."""

    files: Mapping[str, Seen] = field(default_factory=dict)
    glimpse: Mapping[str, Stamp] = field(default_factory=dict)

    @property
    def digests(self) -> dict[str, str]:
        """The digest of every file, by its name; empty where none was read yet."""
        return {name: seen.digest for name, seen in self.files.items()}


def _stamp(path: Path) -> Stamp:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def look(files: Mapping[str, Path], before: Known, *, at_once: bool = False) -> Known:
    """Read what changed, once it stands still, or `at_once`.

    Raises:
        OSError: a file is gone.
    """
    stamps = {name: _stamp(path) for name, path in files.items()}
    as_read = {name: seen.stamp for name, seen in before.files.items()}
    if stamps == as_read or not (at_once or stamps == before.glimpse):
        return Known(before.files, stamps)
    read = {
        name: before.files[name]
        if as_read.get(name) == stamp
        else Seen(stamp, digest_file(files[name]))
        for name, stamp in stamps.items()
    }
    return Known(read, stamps)


def is_reported(event: dg.AssetMaterialization, instance: dg.DagsterInstance) -> bool:
    """Whether the last thing that an instance heard of an asset are these same bytes."""
    partitions = [event.partition] if event.partition else None
    wanted = dg.AssetRecordsFilter(asset_key=event.asset_key, asset_partitions=partitions)
    for record in instance.fetch_materializations(wanted, limit=1).records:
        last = record.asset_materialization
        return last is not None and _version(last) == _version(event)
    return False


def _version(event: dg.AssetMaterialization) -> str | None:
    return (event.tags or {}).get(DATA_VERSION)


def to_cursor(known: Mapping[str, Known]) -> str:
    """What is remembered, as text that `from_cursor` reads."""
    return json.dumps(
        {
            thing: {
                "files": {name: [*seen.stamp, seen.digest] for name, seen in one.files.items()},
                "glimpse": one.glimpse,
            }
            for thing, one in sorted(known.items())
        }
    )


def from_cursor(cursor: str | None) -> dict[str, Known]:
    """What was remembered; nothing where there is no cursor, or an older form of one."""
    return {thing: _known(one) for thing, one in json.loads(cursor or "{}").items()}


def _known(one: Any) -> Known:
    if not isinstance(one, dict) or set(one) != {"files", "glimpse"}:
        return Known()
    return Known(
        {name: Seen((size, time), digest) for name, (size, time, digest) in one["files"].items()},
        {name: (size, time) for name, (size, time) in one["glimpse"].items()},
    )
