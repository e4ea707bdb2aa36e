"""What an owner keeps in files reaches the graph: records, the makers of shadow models, prices.

Other bytes in one of these files are an event of the asset that stands for it; what rests on that
asset is then made anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from memory_assets.config.classifier import AuditedSubject
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.markdown import as_text
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
from memory_assets.store.digest import digest


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


def _event(key: dg.AssetKey, now: Known) -> dg.AssetMaterialization:
    lines = (
        f"- {as_text(name)}: {seen.stamp[0]:,} bytes, sha256 {seen.digest[:12]}"
        for name, seen in now.files.items()
    )
    return dg.AssetMaterialization(
        asset_key=key,
        description=f"{len(now.files)} files",
        metadata={"files": dg.MetadataValue.md("\n".join(lines))},
        tags={DATA_VERSION: digest(now.digests)},
    )


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
        known = from_cursor(context.cursor)
        events, missing = [], []
        for brought in brought_by(graph):
            last = known.get(brought.asset, Known())
            try:
                now = look(brought.files(subject, root), last)
            except (InputError, OSError) as error:
                missing.append(str(error))
                continue
            known[brought.asset] = now
            if now.digests != last.digests:
                events.append(_event(graph.key(brought.asset), now))
        if events:
            return dg.SensorResult(asset_events=events, cursor=to_cursor(known))
        context.update_cursor(to_cursor(known))
        return dg.SkipReason("; ".join(missing) or "nothing changed")

    return watch


def report_sources(graph: SubjectGraph, instance: dg.DagsterInstance) -> None:
    """What the sensor does, at once and without a daemon.

    Raises:
        InputError: a file is not there.
    """
    for brought in brought_by(graph):
        now = look(brought.files(graph.subject, graph.root), Known(), at_once=True)
        event = _event(graph.key(brought.asset), now)
        if not is_reported(event, instance):
            instance.report_runless_asset_event(event)
