"""New and changed checkpoints in a subject's folder become versions to audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg

from memory_assets.config.classifier import AuditedSubject
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.sensors.comparison_audits import neighbour_events
from memory_assets.dagster.sensors.watching import (
    DATA_VERSION,
    INTERVAL_SECONDS,
    Known,
    from_cursor,
    is_reported,
    look,
    to_cursor,
)
from memory_assets.errors import InputError
from memory_assets.models.checkpoints import fingerprint_of, is_whole, look_for_versions
from memory_assets.models.registry import Registry, folder_of, mirror
from memory_assets.workflows.home import Home

_SAID = 8  # lines in a row on what lies in a folder and is no version


@dataclass(frozen=True)
class Observation:
    """What a look at a folder found.

    `known` is what to remember for the next look, `present` every version that was read. One that
    is still being written is among neither `present` nor `events`, but is `known`. `versions` says
    where each one lies, `wrong`, a line each, what else lies there that is no version, or one
    twice.
    """

    known: Mapping[str, Known]
    present: tuple[str, ...]
    events: tuple[dg.AssetMaterialization, ...]
    versions: Mapping[str, Path]
    wrong: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[str, ...]:
        return tuple(str(event.partition) for event in self.events)


def _event(
    subject: AuditedSubject, version: str, path: Path, now: Known
) -> dg.AssetMaterialization:
    sha256, size = fingerprint_of(now.digests), sum(one.stamp[0] for one in now.files.values())
    return dg.AssetMaterialization(
        asset_key=[subject.subject, "checkpoint"],
        partition=version,
        description=f"{', '.join(now.files)}, {size:,} bytes",
        metadata={"path": dg.MetadataValue.path(str(path)), "sha256": sha256, "bytes": size},
        tags={DATA_VERSION: sha256},
    )


def _whole(path: Path, files: list[Path]) -> bool:
    """A version in one file that is complete; what else belongs into a folder, nobody knows."""
    return files == [path] and is_whole(path)


def observe(
    subject: AuditedSubject,
    root: Path,
    home: Home,
    before: Mapping[str, Known],
    *,
    at_once: bool = False,
) -> Observation:
    """Compare a subject's checkpoint folder with what was known `before`, by the files' bytes.

    With `at_once`, what may still be being written is read, too.

    Raises:
        InputError: the versions are in a registry, and it does not answer.
    """
    if isinstance(subject.checkpoints, Registry):
        mirror(subject.checkpoints, home.root)
    known: dict[str, Known] = {}
    events: list[dg.AssetMaterialization] = []
    listing = look_for_versions(folder_of(subject.checkpoints, root, home.root))
    wrong = list(listing.wrong)
    for version, path in listing.versions.items():
        last = before.get(version, Known())
        known[version] = last
        try:
            files = sorted(subject.weights(path))
            now = look(
                {file.name: file for file in files}, last, at_once=at_once or _whole(path, files)
            )
        except (InputError, FileNotFoundError):
            continue  # a folder still being filled; it is seen again when it is whole
        except OSError as error:
            wrong.append(f"version {version!r}: {path} cannot be read ({error.strerror})")
            continue
        known[version] = now
        if now.digests != last.digests:
            where = files[0] if len(files) == 1 else path
            events.append(_event(subject, version, where, now))
    present = tuple(version for version, one in known.items() if one.files)
    return Observation(known, present, tuple(events), listing.versions, tuple(wrong))


def versions_sensor(
    subject: AuditedSubject, root: Path, versions: dg.DynamicPartitionsDefinition
) -> dg.SensorDefinition:
    """Reports each new or changed checkpoint once, and the audits that prices read beside it."""

    @dg.sensor(
        name=f"{subject.slug}_versions",
        description=f"Watches {subject.checkpoints} for new versions of {subject.subject}, and the "
        "history for audits that the prices of other versions read.",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def watch(
        context: dg.SensorEvaluationContext, home: dg.ResourceParam[Home]
    ) -> dg.SensorResult | dg.SkipReason:
        # Asked first: a version that is registered during this look is not taken for gone.
        partitions = set(context.instance.get_dynamic_partitions(str(versions.name)))
        try:
            found = observe(subject, root, home, from_cursor(context.cursor))
        except InputError as error:
            return dg.SkipReason(str(error))
        new = [v for v in found.present if v not in partitions]
        gone = [v for v in partitions if v not in found.known]
        if gone and not folder_of(subject.checkpoints, root, home.root).is_dir():
            return dg.SkipReason(f"{subject.checkpoints} is not there; its versions are kept")
        requests = []
        if new:
            requests.append(versions.build_add_request(new))
        if gone:
            requests.append(versions.build_delete_request(sorted(gone)))
        # With a new version and not after it: its price waits for what it may read.
        beside = neighbour_events(
            SubjectGraph(subject, root), context.instance, home, list(found.known), found.present
        )
        if not (requests or found.events or beside):
            context.update_cursor(to_cursor(found.known))
            return dg.SkipReason("; ".join(("no new or changed version", *found.wrong[:_SAID])))
        return dg.SensorResult(
            asset_events=[*found.events, *beside],
            dynamic_partitions_requests=requests,
            cursor=to_cursor(found.known),
        )

    return watch


def report_versions(
    subject: AuditedSubject,
    root: Path,
    home: Home,
    versions: dg.DynamicPartitionsDefinition,
    instance: dg.DagsterInstance,
) -> Observation:
    """What the sensor does, at once and without a daemon: the command line's way in.

    The digest last reported is read from the instance, so an unchanged file reports nothing.
    What is `wrong` in the folder holds back nothing else there.

    Raises:
        InputError: the versions are in a registry, and it does not answer.
    """
    partitions = instance.get_dynamic_partitions(str(versions.name))
    found = observe(subject, root, home, {}, at_once=True)
    if new := [v for v in found.present if v not in partitions]:
        instance.add_dynamic_partitions(str(versions.name), new)
    events = [event for event in found.events if not is_reported(event, instance)]
    for event in events:
        instance.report_runless_asset_event(event)
    return replace(found, events=tuple(events))
