"""Changed records become a new data set: the pool is trained again, every version re-audited."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from dagster_project.sensors.versions import DATA_VERSION, INTERVAL_SECONDS, Seen
from memory_assets.digest import digest, digest_file
from memory_assets.errors import InputError
from memory_assets.subjects import AuditedSubject


@dataclass(frozen=True)
class SourceState:
    """The files behind a subject's records as they are now; `fingerprint` digests their bytes."""

    files: Mapping[str, Seen]
    fingerprint: str


def look(subject: AuditedSubject, root: Path, before: Mapping[str, Seen]) -> SourceState:
    """Fingerprint a subject's source files; an unchanged size and time spare reading one again.

    Raises:
        InputError: a file is not there.
    """
    files: dict[str, Seen] = {}
    for name, path in subject.sources(root).items():
        stat, last = path.stat(), before.get(name)
        if last and (last.size, last.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
            files[name] = last
        else:
            files[name] = Seen(stat.st_size, stat.st_mtime_ns, digest_file(path))
    return SourceState(files, digest({name: seen.digest for name, seen in files.items()}))


def _event(subject: AuditedSubject, state: SourceState) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        asset_key=[subject.subject, "source"],
        description=f"{len(state.files)} files",
        metadata={
            "files": dg.MetadataValue.md(
                "\n".join(
                    f"- `{name}`: {seen.size:,} bytes, sha256 {seen.digest[:12]}"
                    for name, seen in state.files.items()
                )
            )
        },
        tags={DATA_VERSION: state.fingerprint},
    )


def _cursor(state: SourceState) -> str:
    return json.dumps({n: [s.size, s.mtime_ns, s.digest] for n, s in sorted(state.files.items())})


def source_sensor(subject: AuditedSubject, root: Path) -> dg.SensorDefinition:
    """Reports a subject's source files when their bytes changed."""

    @dg.sensor(
        name=f"{subject.slug}_source",
        description=f"Watches the records and the list of members of {subject.subject}.",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        before = {n: Seen(*fields) for n, fields in json.loads(context.cursor or "{}").items()}
        try:
            state = look(subject, root, before)
        except InputError as error:
            return dg.SkipReason(str(error))
        if {n: s.digest for n, s in before.items()} == {
            n: s.digest for n, s in state.files.items()
        }:
            context.update_cursor(_cursor(state))
            return dg.SkipReason("the same records")
        return dg.SensorResult(asset_events=[_event(subject, state)], cursor=_cursor(state))

    return watch


def report_source(subject: AuditedSubject, root: Path, instance: dg.DagsterInstance) -> bool:
    """What the sensor does, at once and without a daemon; True if something changed.

    Raises:
        InputError: a file is not there.
    """
    state = look(subject, root, {})
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey([subject.subject, "source"]))
    for record in instance.fetch_materializations(wanted, limit=1).records:
        event = record.asset_materialization
        if event and (event.tags or {}).get(DATA_VERSION) == state.fingerprint:
            return False
    instance.report_runless_asset_event(_event(subject, state))
    return True
