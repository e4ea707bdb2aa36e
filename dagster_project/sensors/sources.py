"""What an owner keeps in files reaches the graph: records, the makers of shadow models, prices.

Other bytes in one of these files are an event of the asset that stands for it; what rests on that
asset is then made anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from dagster_project.components.options import SubjectGraph
from dagster_project.sensors.versions import DATA_VERSION, INTERVAL_SECONDS, Seen
from memory_assets.digest import digest, digest_file
from memory_assets.errors import InputError
from memory_assets.subjects import AuditedSubject

Cursor = dict[str, dict[str, Seen]]


@dataclass(frozen=True)
class Brought:
    """One thing that an owner brings: its asset, and which files it lies in."""

    asset: str
    files: Callable[[AuditedSubject, Path], dict[str, Path]]
    description: str


BROUGHT = (
    Brought(
        "source",
        lambda subject, root: subject.sources(root),
        "The files behind a subject's records and members, kept by their owner. Other bytes there "
        "make anew what rests on them and re-audit every version.",
    ),
    Brought(
        "recipe",
        lambda subject, root: subject.makers(root),
        "The files that shadow models come from: the code of the model or of its training, or the "
        "table of their outputs. Other bytes there train the pool again.",
    ),
    Brought(
        "profile",
        lambda subject, root: subject.profile_files(root),
        "The risk profile (losses, prices, what could be done) and the outcomes of unseen cases. "
        "Other bytes there price every version anew, and audit none.",
    ),
)
"""Everything that is watched, in the order in which it is looked at."""


@dataclass(frozen=True)
class SourceState:
    """The files behind one asset as they are now; `fingerprint` digests their bytes."""

    files: Mapping[str, Seen]
    fingerprint: str


def brought_by(graph: SubjectGraph) -> list[Brought]:
    """What this subject's owner brings."""
    return [b for b in BROUGHT if b.asset in graph.subject.brings]


def brought_specs(graph: SubjectGraph) -> list[dg.AssetSpec]:
    """One asset for each thing that an owner brings and keeps."""
    return [
        dg.AssetSpec(
            graph.key(brought.asset),
            group_name=graph.subject.slug,
            owners=[graph.subject.owner],
            kinds={"file"},
            description=brought.description,
        )
        for brought in brought_by(graph)
    ]


def look(files: Mapping[str, Path], before: Mapping[str, Seen]) -> SourceState:
    """Fingerprint files; an unchanged size and time spare reading one again.

    Raises:
        OSError: a file is gone.
    """
    seen: dict[str, Seen] = {}
    for name, path in files.items():
        stat, last = path.stat(), before.get(name)
        if last and (last.size, last.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
            seen[name] = last
        else:
            seen[name] = Seen(stat.st_size, stat.st_mtime_ns, digest_file(path))
    return SourceState(seen, digest({name: seen.digest for name, seen in seen.items()}))


def _event(key: dg.AssetKey, state: SourceState) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        asset_key=key,
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


def _to_cursor(seen: Mapping[str, Mapping[str, Seen]]) -> str:
    return json.dumps(
        {
            asset: {n: [s.size, s.mtime_ns, s.digest] for n, s in sorted(files.items())}
            for asset, files in sorted(seen.items())
        }
    )


def _from_cursor(cursor: str | None) -> Cursor:
    return {
        asset: {n: Seen(*fields) for n, fields in files.items()}
        for asset, files in json.loads(cursor or "{}").items()
    }


def source_sensor(graph: SubjectGraph) -> dg.SensorDefinition:
    """Reports what an owner brings when its bytes changed; what is missing holds back itself."""
    subject, root = graph.subject, graph.root

    @dg.sensor(
        name=f"{subject.slug}_source",
        description=f"Watches the records of {subject.subject}, what makes its shadow models, "
        "and its risk profile.",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        seen = _from_cursor(context.cursor)
        events, missing = [], []
        for brought in brought_by(graph):
            before = seen.get(brought.asset)
            try:
                state = look(brought.files(subject, root), before or {})
            except (InputError, OSError) as error:
                missing.append(str(error))
                continue
            seen[brought.asset] = dict(state.files)
            last = None if before is None else {n: s.digest for n, s in before.items()}
            if last != {n: s.digest for n, s in state.files.items()}:
                events.append(_event(graph.key(brought.asset), state))
        if events:
            return dg.SensorResult(asset_events=events, cursor=_to_cursor(seen))
        context.update_cursor(_to_cursor(seen))
        return dg.SkipReason("; ".join(missing) or "nothing changed")

    return watch


def report_sources(graph: SubjectGraph, instance: dg.DagsterInstance) -> None:
    """What the sensor does, at once and without a daemon.

    Raises:
        InputError: a file is not there.
    """
    for brought in brought_by(graph):
        state = look(brought.files(graph.subject, graph.root), {})
        key = graph.key(brought.asset)
        wanted = dg.AssetRecordsFilter(asset_key=key)
        last = [r.asset_materialization for r in instance.fetch_materializations(wanted, 1).records]
        if not any(e and (e.tags or {}).get(DATA_VERSION) == state.fingerprint for e in last):
            instance.report_runless_asset_event(_event(key, state))
