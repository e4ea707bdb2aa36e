"""Processes that execute runs of this project: who they are, and whether one is known to be dead.

An instance of Dagster may be shared with other projects, machines and containers, where the name of
a host and the number of a process say little. So a process writes a file into this home, holds a
lock on it for as long as it lives, and a run that it executes names the file in a tag.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.util import Finalize
from pathlib import Path

import dagster as dg

from memory_assets.store.disk import is_alive, private_folder

EXECUTED_BY = "memory-assets/executed-by"
"""Tag of a run: the file of the process that executes it, and the run's own id.

A run that is tried again inherits the tags of the first; the id tells that it is another.
"""

_FOLDER = "workers"
_NAME = re.compile(r"[0-9a-f]{32}")
_LOCAL = ("apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs")
"""File systems that one machine alone mounts, so that a lock on them says of every process."""


@dataclass(frozen=True)
class Process:
    """A process told apart from every other: numbers of processes come again.

    `boot` and `namespace` say in which run of a kernel, and in which of its sets of process
    numbers, `pid` was given; `started` when it was, in ticks since the boot. They are empty, and 0,
    on a system without `/proc`. `inode` is that of the file, which a copy of the home lacks.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: int
    instance: str
    inode: int


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, int] | None:
    """State of a process, and its start in ticks since the boot; None where `/proc` hides it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[19])


def _is_gone(pid: int, started: int) -> bool:
    """Whether a process of this kernel and namespace is over; False where that is not certain."""
    if not is_alive(pid):
        return True
    found = _stat(pid)
    return found is not None and (found[0] == "Z" or (started != 0 and found[1] != started))


def _is_local(folder: Path) -> bool:
    """Whether a folder lies on a file system that no other machine mounts as well."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    resolved, best, kind = folder.resolve(), -1, ""
    for line in lines:
        mounted, _, source = line.partition(" - ")
        at = Path(re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), mounted.split()[4]))
        # Of two mounts at one place the later hides the earlier.
        if resolved.is_relative_to(at) and len(at.parts) >= best:
            best, kind = len(at.parts), source.split()[0]
    return kind in _LOCAL


def _is_held(path: Path) -> bool:
    """Whether a process holds the lock on a file, or nobody can say."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _read(path: Path) -> Process | None:
    """What a file says of its process; None where it is damaged, a copy, or still written."""
    try:
        process = Process(**json.loads(path.read_bytes()))
        return process if process.inode == path.stat().st_ino else None
    except (OSError, TypeError, ValueError):
        return None


def _is_dead(process: Process, path: Path) -> bool:
    """Whether the process behind a file of this home ran on this machine and is over.

    Within one namespace its number and start say so. After a restart of the machine or of its
    container the free lock does, on a disk that no other machine can hold it on.
    """
    if process.host != os.uname().nodename or _is_held(path):
        return False
    if (process.boot, process.namespace) == (_boot(), _namespace()):
        return _is_gone(process.pid, process.started)
    return _is_local(path.parent)


def dead(instance: dg.DagsterInstance, home: Path) -> dict[str, Path]:
    """The files, by name, of processes of this home and instance that are known to be dead."""
    files = (home / _FOLDER).glob("*")
    return {
        path.name: path
        for path in files
        if _NAME.fullmatch(path.name)
        and (process := _read(path)) is not None
        and process.instance == instance.root_directory
        and _is_dead(process, path)
    }


_mine: dict[tuple[int, str, str], str] = {}


def _write(folder: Path, instance: str) -> str:
    """Make and lock the file of this process; it goes when the process ends in order."""
    path = private_folder(folder) / uuid.uuid4().hex
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        pid = os.getpid()
        own = _stat(pid)
        process = Process(
            host=os.uname().nodename,
            boot=_boot(),
            namespace=_namespace(),
            pid=pid,
            started=own[1] if own else 0,
            instance=instance,
            inode=os.fstat(opened).st_ino,
        )
        os.write(opened, json.dumps(asdict(process)).encode())
    except OSError:
        os.close(opened)
        path.unlink(missing_ok=True)
        raise
    # The file stays open: the lock lasts as long as the process.
    Finalize(None, path.unlink, kwargs={"missing_ok": True}, exitpriority=0)
    return path.name


def executed_here(instance: dg.DagsterInstance, run_id: str, home: Path) -> dict[str, str]:
    """The tag of a run that this process executes; none where the home takes no file or lock.

    A run without it is nobody's, and never ended by `end_abandoned_runs`.
    """
    key = (os.getpid(), str(home), instance.root_directory)
    with suppress(OSError):
        if key not in _mine:
            _mine[key] = _write(home / _FOLDER, instance.root_directory)
        return {EXECUTED_BY: f"{_mine[key]}:{run_id}"}
    return {}


def executor_of(run: dg.DagsterRun) -> str:
    """The name of the file of the process that executes a run; empty where the run has none."""
    name, _, run_id = run.tags.get(EXECUTED_BY, "").partition(":")
    return name if run_id == run.run_id else ""
