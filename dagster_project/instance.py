"""The Dagster instance of a home: where runs and events are kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg

from dagster_project.automation import RUN_BY_HAND
from memory_assets.artifacts import home

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


def run_dagster_dev(port: int) -> int:
    """Web server, daemon and code server on 127.0.0.1 until this process is told to stop.

    Dagster takes its servers down when it is interrupted, and leaves them behind when it is
    terminated. So both signals reach it as an interrupt, whoever sends them.
    """
    command = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml"]
    child = subprocess.Popen(
        [*command, "-h", "127.0.0.1", "-p", str(port)],
        # A group of its own, so that Ctrl-C reaches it once and through us; and a shell may have
        # started us with the interrupt ignored, which children inherit.
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for received in (signal.SIGINT, signal.SIGTERM):
        signal.signal(received, lambda *_: child.send_signal(signal.SIGINT))
    return child.wait()


def owner_tag() -> dict[str, str]:
    """A tag that says which process executes a run, for `end_abandoned_runs`."""
    return {RUN_BY_HAND: f"{os.uname().nodename}:{os.getpid()}"}


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
        host, _, pid = run.tags.get(RUN_BY_HAND, "").partition(":")
        if host == os.uname().nodename and not Path(f"/proc/{pid}").exists():
            instance.report_run_failed(run, "the process that executed this run was killed")
            ended += 1
    return ended
