"""A real daemon on a real project: what it notices, what it leaves alone, and how it is killed."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import automation_projects as tiny
import duckdb
import pytest
from automation_projects import CHECKOUT

from memory_assets.dagster.instance import _DAGSTER_YAML

PATIENCE_SECONDS = 240

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("daemon")]


def impatient(home: Path) -> None:
    """Dagster gives up in seconds, not minutes, on a run that was killed before it began."""
    settings = home / "dagster" / "dagster.yaml"
    settings.parent.mkdir(parents=True)
    patience = "  start_timeout_seconds: 30\n  poll_interval_seconds: 5\n"
    head, key, rest = _DAGSTER_YAML.partition("run_monitoring:\n")
    settings.write_text(head + key + patience + rest)


@pytest.fixture
def project(tmp_path) -> Path:
    """The shipped project with one tiny subject in place of the shipped ones."""
    root = tmp_path / "project"
    impatient(root / "home")
    tiny.declare(tiny.copy_project(root), tiny.tiny_subject("tiny"))
    tiny.write_records(root / "tiny")
    (root / "tiny" / "checkpoints").mkdir()
    return root


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextmanager
def daemon(root: Path) -> Iterator[tuple[subprocess.Popen, int]]:
    """`memory-assets ui` in a session of its own, and its port; gone afterwards with all of it."""
    environment = os.environ | {
        "MEMORY_ASSETS_HOME": str(root / "home"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{root}{os.pathsep}{CHECKOUT}",
    }
    environment.pop("DAGSTER_HOME", None)
    port = free_port()
    command = [sys.executable, "-m", "memory_assets.cli", "ui", "--port", str(port)]
    with (root / "daemon.log").open("a") as log:
        process = subprocess.Popen(
            command, cwd=root, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield process, port
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(60)


def descendants(pid: int) -> list[int]:
    """All processes below one, by the parents that /proc names."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def kill_all(process: subprocess.Popen) -> None:
    """What a power cut does: every process at once, none told."""
    for pid in descendants(process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait(30)


def listening(process: subprocess.Popen) -> set[tuple[str, int]]:
    """Addresses and ports at which the processes below one accept connections over the network."""
    sockets: set[str] = set()
    for pid in descendants(process.pid):
        with contextlib.suppress(OSError):
            links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
            sockets |= {link[8:-1] for link in links if link.startswith("socket:[")}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            address, port = fields[1].split(":")
            if fields[3] == "0A" and fields[9] in sockets:
                found.add((address, int(port, 16)))
    return found


def answer(port: int, **headers: str) -> int:
    """What the web server says to a request for its first page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/", headers=headers)
    return connection.getresponse().status


def audits(root: Path) -> list[tuple[str, str]]:
    """Version and digest of the weights of every audit in the history."""
    path = root / "home" / "history.duckdb"
    if not path.exists():
        return []
    with duckdb.connect(str(path), read_only=True) as con:
        sql = "select model_version, model_digest from audits order by finished_at"
        return con.execute(sql).fetchall()


def wait_for(what: Callable[[], bool], root: Path, patience: float = PATIENCE_SECONDS) -> float:
    """Seconds until something is true."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > patience:
            raise AssertionError((root / "daemon.log").read_text()[-4000:])
        time.sleep(0.5)
    return time.monotonic() - began


def end(running: subprocess.Popen, told: signal.Signals, root: Path) -> None:
    """Tell it to end: it says nothing is wrong, and none of its processes is left."""
    below = descendants(running.pid)
    assert len(below) >= 5  # with pages, services, code server, web server, daemon
    running.send_signal(told)
    assert running.wait(PATIENCE_SECONDS) == 0
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below), root)
    assert "ended by itself" not in (root / "daemon.log").read_text()


def test_it_starts_answers_and_ends_when_it_is_terminated(project: Path):
    with daemon(project) as (running, port):

        def answers() -> bool:
            with contextlib.suppress(OSError):
                return answer(port) == 200
            return False

        wait_for(answers, project)
        assert answer(port, host="evil.example") == 403
        wait_for(lambda: "SensorDaemon" in (project / "daemon.log").read_text(), project)
        end(running, signal.SIGTERM, project)


def test_a_daemon_audits_what_changed_and_nothing_else(project: Path):
    tiny.write_checkpoint(project / "tiny", "v1", seed=1)
    with daemon(project) as (running, port):
        first = wait_for(lambda: len(audits(project)) == 1, project)
        tiny.write_checkpoint(project / "tiny", "v2", seed=2)
        new = wait_for(lambda: len(audits(project)) == 2, project)
        # On this machine only: 0100007F is 127.0.0.1, the longer one ::1.
        heard = listening(running)
        assert port in {at for _, at in heard}
        assert {address for address, _ in heard} <= {"0100007F", "00000000000000000000000001000000"}
        print(f"first audit {first:.0f} s after start, new checkpoint to verdict {new:.0f} s")

        (project / "tiny" / "checkpoints" / "v2.safetensors").touch()
        time.sleep(30)
        assert len(audits(project)) == 2

        tiny.write_checkpoint(project / "tiny", "v2", seed=3)
        wait_for(lambda: len(audits(project)) == 3, project)
        versions = [version for version, _ in audits(project)]
        assert versions == ["v1", "v2", "v2"]
        assert len({digest for _, digest in audits(project)}) == 3
        end(running, signal.SIGINT, project)


def test_a_daemon_killed_in_the_middle_audits_nothing_twice_and_forgets_nothing(project: Path):
    tiny.write_checkpoint(project / "tiny", "v1", seed=1)
    with daemon(project) as (running, _):
        wait_for(lambda: len(audits(project)) == 1, project)
        for seed in (2, 3, 4):
            tiny.write_checkpoint(project / "tiny", f"v{seed}", seed=seed)
        signals = project / "home" / "artifacts" / "signals"
        before = len(list(signals.glob("*")))
        # A version was asked its answers: its run is somewhere before its verdict.
        wait_for(lambda: len(list(signals.glob("*"))) > before, project)
        kill_all(running)
    assert len(audits(project)) < 4
    with daemon(project):
        wait_for(lambda: len(audits(project)) == 4, project)
        time.sleep(20)
    assert sorted(version for version, _ in audits(project)) == ["v1", "v2", "v3", "v4"]
