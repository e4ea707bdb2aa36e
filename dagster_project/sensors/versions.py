"""New and changed checkpoints in a subject's folder become versions to audit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from memory_assets.errors import InputError
from memory_assets.models.checkpoints import fingerprint, list_versions
from memory_assets.models.registry import Registry, mirror
from memory_assets.subjects import AuditedSubject

INTERVAL_SECONDS = 10
DATA_VERSION = "dagster/data_version"


@dataclass(frozen=True)
class Seen:
    """A version's files as last seen; an unchanged size and time spare reading them again."""

    size: int
    mtime_ns: int
    digest: str


@dataclass(frozen=True)
class Observation:
    """What changed in a folder since it was last looked at."""

    seen: Mapping[str, Seen]
    changed: tuple[str, ...]
    gone: tuple[str, ...]
    events: tuple[dg.AssetMaterialization, ...]


def observe(subject: AuditedSubject, root: Path, before: Mapping[str, Seen]) -> Observation:
    """Compare a subject's checkpoint folder with what was seen `before`, by the files' bytes.

    Raises:
        InputError: the versions are in a registry, and it does not answer.
    """
    if isinstance(subject.checkpoints, Registry):
        mirror(subject.checkpoints)
    seen: dict[str, Seen] = {}
    events: list[dg.AssetMaterialization] = []
    for version, path in list_versions(root / subject.checkpoints).items():
        try:
            files = subject.weights(path)
            stats = [file.stat() for file in files]
        except (InputError, FileNotFoundError):
            continue  # a folder still being filled; it is seen again when it is whole
        last = before.get(version)
        size, mtime_ns = sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats)
        if last and (last.size, last.mtime_ns) == (size, mtime_ns):
            seen[version] = last
            continue
        seen[version] = Seen(size, mtime_ns, fingerprint(files))
        if last is None or last.digest != seen[version].digest:
            events.append(
                dg.AssetMaterialization(
                    asset_key=[subject.subject, "checkpoint"],
                    partition=version,
                    description=f"{', '.join(file.name for file in files)}, {size:,} bytes",
                    metadata={
                        "path": dg.MetadataValue.path(str(files[0] if len(files) == 1 else path)),
                        "sha256": seen[version].digest,
                        "bytes": size,
                    },
                    tags={DATA_VERSION: seen[version].digest},
                )
            )
    return Observation(
        seen=seen,
        changed=tuple(str(e.partition) for e in events),
        gone=tuple(v for v in before if v not in seen),
        events=tuple(events),
    )


def to_cursor(seen: Mapping[str, Seen]) -> str:
    return json.dumps({v: [s.size, s.mtime_ns, s.digest] for v, s in sorted(seen.items())})


def from_cursor(cursor: str | None) -> dict[str, Seen]:
    return {v: Seen(*fields) for v, fields in json.loads(cursor or "{}").items()}


def versions_sensor(
    subject: AuditedSubject, root: Path, versions: dg.DynamicPartitionsDefinition
) -> dg.SensorDefinition:
    """Reports each new or changed checkpoint once, with the digest of its bytes."""

    @dg.sensor(
        name=f"{subject.slug}_versions",
        description=f"Watches {subject.checkpoints} for new versions of {subject.subject}.",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            found = observe(subject, root, from_cursor(context.cursor))
        except InputError as error:
            return dg.SkipReason(str(error))
        known = set(context.instance.get_dynamic_partitions(str(versions.name)))
        new = [v for v in found.seen if v not in known]
        gone = [v for v in found.gone if v in known]
        requests = []
        if new:
            requests.append(versions.build_add_request(new))
        if gone:
            requests.append(versions.build_delete_request(gone))
        if not (requests or found.events):
            context.update_cursor(to_cursor(found.seen))
            return dg.SkipReason("no new or changed version")
        return dg.SensorResult(
            asset_events=list(found.events),
            dynamic_partitions_requests=requests,
            cursor=to_cursor(found.seen),
        )

    return watch


def report_versions(
    subject: AuditedSubject,
    root: Path,
    versions: dg.DynamicPartitionsDefinition,
    instance: dg.DagsterInstance,
) -> Observation:
    """What the sensor does, at once and without a daemon: the command line's way in.

    The digest last reported is read from the instance, so an unchanged file reports nothing.

    Raises:
        InputError: a file whose name cannot name a version, or a link that leads out.
    """
    if not isinstance(subject.checkpoints, Registry):
        list_versions(root / subject.checkpoints, strict=True)
    key = dg.AssetKey([subject.subject, "checkpoint"])
    known = instance.get_dynamic_partitions(str(versions.name))
    before: dict[str, Seen] = {}
    for version in known:
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[version])
        for record in instance.fetch_materializations(wanted, limit=1).records:
            event = record.asset_materialization
            digest = (event.tags or {}).get(DATA_VERSION, "") if event else ""
            before[version] = Seen(-1, -1, digest)
    found = observe(subject, root, before)
    if new := [v for v in found.seen if v not in known]:
        instance.add_dynamic_partitions(str(versions.name), new)
    for event in found.events:
        instance.report_runless_asset_event(event)
    return found
