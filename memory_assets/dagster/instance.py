"""The Dagster instance of a home: where runs and events are kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg

from memory_assets.dagster import workers
from memory_assets.store.disk import private_folder, write_private
from memory_assets.workflows.home import Home

_UNFINISHED = [
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_DAGSTER_YAML = """\
# Written by Memory Assets when the file is missing; change it as you like.
telemetry:
  enabled: false
nux:
  enabled: false
run_monitoring:
  enabled: true
  free_slots_after_run_end_seconds: 60
# A run whose process was killed starts again; one that failed waits for something to change.
run_retries:
  enabled: true
  max_retries: 2
  retry_on_asset_or_op_failure: false
# Runs at the same moment: each holds a model and its records in memory.
run_queue:
  max_concurrent_runs: 2
  dequeue_interval_seconds: 1
freshness:
  enabled: true
retention:
  sensor: {purge_after_days: {skipped: 7, success: 30}}
"""


def keep_private(home: Path) -> None:
    """Nobody but its owner enters the home, and reads what this process and its children write.

    Dagster makes its databases and logs with the modes that the umask leaves.
    """
    os.umask(0o077)
    if home.is_dir() and home.stat().st_uid == os.getuid() and home.stat().st_mode & 0o077:
        home.chmod(0o700)


def prepare_dagster_home(home: Path) -> Path:
    """Point `DAGSTER_HOME` at `<home>/dagster`, unless the user chose another, and seed it."""
    chosen = os.environ.get("DAGSTER_HOME")
    folder = Path(chosen) if chosen else home / "dagster"
    keep_private(home)
    settings = private_folder(folder) / "dagster.yaml"
    if not settings.exists():
        write_private(settings, _DAGSTER_YAML)
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


def open_instance(home: Home) -> dg.DagsterInstance:
    """The Dagster instance of this home.

    Its databases are made by whoever opens it first, alone: two at once would each note the schema,
    and Dagster refuses a database with two notes for ever.
    """
    prepare_dagster_home(home.root)
    with home.store.lock("dagster"):
        return dg.DagsterInstance.get()


def run_services(port: int) -> int:
    """Web server, daemon and code server on 127.0.0.1 until this process is told to stop.

    They end in order when they are interrupted, and some stay behind when they are terminated. So
    both signals reach them as an interrupt, whoever sends them.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "memory_assets.dagster.services", str(port)],
        # A group of its own, so that Ctrl-C reaches it once and through us; and a shell may have
        # started us with the interrupt ignored, which children inherit.
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for received in (signal.SIGINT, signal.SIGTERM):
        signal.signal(received, lambda *_: child.send_signal(signal.SIGINT))
    return child.wait()


def subjects_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[str]:
    """The subjects whose assets a run makes; the portfolio counts as one.

    A run that was asked for by its job alone selects nothing; then its plan says what it makes.
    """
    keys = set(run.asset_selection or ())
    if not keys:
        planned = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
        events = (log.dagster_event for log in instance.all_logs(run.run_id, of_type=planned))
        keys = {event.asset_key for event in events if event and event.asset_key}
    return {key.path[0] for key in keys}


def end_abandoned_runs(instance: dg.DagsterInstance, home: Path) -> int:
    """Mark runs of this project as failed whose process is known to be dead; returns how many.

    Left as they are they would look as if they were still in progress, and automation would
    wait for them for ever. Dagster sees this itself only while the code server that started the
    run is alive. An instance may be shared: a run that this project did not execute from this home
    and on this machine is left alone, and so is one of which that cannot be told.
    """
    # Before the runs are asked for: who is dead by now begins no run that the answer lacks.
    dead = workers.dead(instance, home)
    ended = 0
    for seen in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)) if dead else ():
        run = instance.get_run_by_id(seen.run_id)
        # It may have been ended, or taken up by another process, since.
        if run is None or run.status not in _UNFINISHED or workers.executor_of(run) not in dead:
            continue
        instance.report_run_failed(run, "the process that executed this run was killed")
        ended += 1
    for path in dead.values():
        path.unlink(missing_ok=True)
    return ended
