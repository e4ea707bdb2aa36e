"""The Dagster instance of a home: where runs and events are kept."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from memory_assets.artifacts import home

_OWNER_TAG = "memory-assets/process"

_DAGSTER_YAML = """\
# Written by Memory Assets when the file is missing; change it as you like.
telemetry:
  enabled: false
run_monitoring:
  enabled: true
  free_slots_after_run_end_seconds: 60
retention:
  sensor: {purge_after_days: {skipped: 7, success: 30}}
"""


def prepare_dagster_home() -> Path:
    """Point `DAGSTER_HOME` at `<home>/dagster`, unless the user chose another, and seed it."""
    chosen = os.environ.get("DAGSTER_HOME")
    folder = Path(chosen) if chosen else home() / "dagster"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = folder / "dagster.yaml"
    if not settings.exists():
        settings.write_text(_DAGSTER_YAML, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


def owner_tag() -> dict[str, str]:
    """A tag that says which process executes a run, for `end_abandoned_runs`."""
    return {_OWNER_TAG: f"{os.uname().nodename}:{os.getpid()}"}


def end_abandoned_runs(instance: dg.DagsterInstance) -> int:
    """Mark runs as failed whose process was killed; returns how many.

    Left as they are they would look as if they were still in progress, and automation would
    wait for them for ever.
    """
    unfinished = [
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.NOT_STARTED,
    ]
    ended = 0
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished)):
        host, _, pid = run.tags.get(_OWNER_TAG, "").partition(":")
        if host == os.uname().nodename and not Path(f"/proc/{pid}").exists():
            instance.report_run_failed(run, "the process that executed this run was killed")
            ended += 1
    return ended
