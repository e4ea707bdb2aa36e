"""The Dagster instance of a home: where runs and events are kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import GRPC_INFO_TAG

from dagster_project.automation import RUN_BY_HAND
from memory_assets.artifacts import ArtifactStore, home
from memory_assets.disk import is_alive, private_folder, write_private

_CLOCK_SLACK_SECONDS = 5
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


def keep_private() -> None:
    """Nobody but its owner enters the home, and reads what this process and its children write.

    Dagster makes its databases and logs with the modes that the umask leaves.
    """
    os.umask(0o077)
    folder = home()
    if folder.is_dir() and folder.stat().st_uid == os.getuid() and folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def prepare_dagster_home() -> Path:
    """Point `DAGSTER_HOME` at `<home>/dagster`, unless the user chose another, and seed it."""
    chosen = os.environ.get("DAGSTER_HOME")
    folder = Path(chosen) if chosen else home() / "dagster"
    keep_private()
    settings = private_folder(folder) / "dagster.yaml"
    if not settings.exists():
        write_private(settings, _DAGSTER_YAML)
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


def open_instance() -> dg.DagsterInstance:
    """The Dagster instance of this home.

    Its databases are made by whoever opens it first, alone: two at once would each note the schema,
    and Dagster refuses a database with two notes for ever.
    """
    prepare_dagster_home()
    with ArtifactStore(home()).lock("dagster"):
        return dg.DagsterInstance.get()


def run_services(port: int) -> int:
    """Web server, daemon and code server on 127.0.0.1 until this process is told to stop.

    They end in order when they are interrupted, and some stay behind when they are terminated. So
    both signals reach them as an interrupt, whoever sends them.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "dagster_project.services", str(port)],
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


def _is_running(pid: int, since: float) -> bool:
    """Whether the process that had this id at a time (Unix seconds) still runs.

    An id is given to another process sooner or later, at once after a restart of a container.
    Where the system does not say since when a process runs (it has no /proc), its id must do.
    """
    if not Path("/proc/stat").is_file():
        return is_alive(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        boot = next(
            int(line.split()[1])
            for line in Path("/proc/stat").read_text(encoding="utf-8").splitlines()
            if line.startswith("btime")
        )
    except (FileNotFoundError, ProcessLookupError):
        return False
    state, ticks = fields[0], int(fields[19])
    return state != "Z" and boot + ticks / os.sysconf("SC_CLK_TCK") <= since + _CLOCK_SLACK_SECONDS


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


def _process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> tuple[int, float] | None:
    """The process that executes a run on this machine, and when it was known to; None elsewhere."""
    host, _, pid = run.tags.get(RUN_BY_HAND, "").partition(":")
    record = instance.get_run_record_by_id(run.run_id)
    if pid:
        here = host == os.uname().nodename and record is not None
        return (int(pid), record.create_timestamp.timestamp()) if here and record else None
    server = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
    if server.get("host") not in ("localhost", "127.0.0.1"):
        return None
    events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    for event in events:
        data = event.dagster_event.engine_event_data if event.dagster_event else None
        if data and "pid" in data.metadata:
            return int(str(data.metadata["pid"].value)), event.timestamp
    return None


def end_abandoned_runs(instance: dg.DagsterInstance) -> int:
    """Mark runs as failed whose process was killed; returns how many.

    Left as they are they would look as if they were still in progress, and automation would
    wait for them for ever. Dagster sees this itself only while the code server that started the
    run is alive. Runs on other machines are left alone.
    """
    unfinished = [
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    ended = 0
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished)):
        process = _process(instance, run)
        if process is not None and not _is_running(*process):
            instance.report_run_failed(run, "the process that executed this run was killed")
            ended += 1
    return ended
