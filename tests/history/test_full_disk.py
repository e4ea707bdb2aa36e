"""Disks that fill up: a change is all there, or it never happened and can be made again."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from history_bundles import bundle, written
from test_store import priced

from memory_assets.errors import InputError
from memory_assets.history.store import Action, History
from memory_assets.workflows.home import Home
from memory_assets.workflows.purge import purge_home

pytestmark = pytest.mark.slow

LEVELS = [100, 700, 2_000, 4_000, 20_000]
"""KiB that are free, or that a file may grow to. The history below takes about 7 MiB, and a change
up to 11 MiB beside it."""
RECORDS = 4_000
ROOMY = "size=128m"


def act(root: Path) -> None:
    action = Action("digits", "v1", "corrective action", "stop early", "team:x")
    History(root).record_action(action, "ann")


def judge(root: Path) -> None:
    History(root).record_outcome("risk-1", "as_is", "claim", True, "ann")


def append(root: Path) -> None:
    History(root).append_all([*sorted((root / "new").iterdir())])


def rebuild(root: Path) -> None:
    History(root).rebuild(sorted((root / "artifacts" / "audit").iterdir()))


def purge(root: Path) -> None:
    purge_home(Home(root), "digits")


CHANGES: list[Callable[[Path], None]] = [act, judge, append, rebuild, purge]


def content(root: Path) -> dict[str, tuple]:
    """How many rows a reader sees in each table, and a digest of them."""
    with duckdb.connect(str(root / "history.duckdb"), read_only=True) as con:
        assert con.execute("FROM incomplete").fetchall() == []
        tables = con.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        return {
            table: con.execute(f"SELECT count(*), bit_xor(hash(t)) FROM {table} t").fetchall()[0]
            for (table,) in tables
        }


def counted(root: Path) -> dict[str, int]:
    return {table: rows for table, (rows, _) in content(root).items()}


@dataclass(frozen=True)
class Prepared:
    """A home with audits, an action and a plan, and what each change makes of it undisturbed."""

    home: Path
    after: dict[str, dict[str, int]]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    top = tmp_path_factory.mktemp("disk")
    home = top / "home"
    audits = [bundle(version=f"v{i}", day=i, records=RECORDS) for i in (1, 2)]
    folders = [written(home / "artifacts" / "audit", made) for made in audits]
    history = History(home)
    history.append_all([*folders, priced(top, audits[0].audit.audit_id)])
    history.register_subject("digits", "team:x", 30, ["v1", "v2"])
    act(home)
    written(home / "new", bundle(version="v3", day=3, records=RECORDS))
    after = {}
    for change in CHANGES:
        shutil.copytree(home, copy := top / change.__name__)
        change(copy)
        after[change.__name__] = counted(copy)
    return Prepared(home, after)


def run(change: Callable[[Path], None], root: Path, largest_file: int | None = None) -> int:
    """The exit code of a child that makes the change: 0, or 2 when it was refused in one line."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            if largest_file:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
            change(root)
            code = 0
        except InputError as error:
            code = 2 if "no space left" in str(error) and "\n" not in str(error) else 71
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def all_or_nothing(
    change: Callable[[Path], None], root: Path, code: int, prepared: Prepared
) -> None:
    """With room again: what was said to be done is there, once; what was refused never was."""
    done = prepared.after[change.__name__]
    if code == 0:
        assert counted(root) == done
        return
    assert code == 2
    History(root).publish()
    History(root).confirm({})
    assert content(root) == content(prepared.home)
    assert not list((root / "tmp").iterdir())
    change(root)
    assert counted(root) == done


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_may_not_grow(change, prepared: Prepared, tmp_path: Path, tally) -> None:
    codes = []
    for kib in LEVELS:
        shutil.copytree(prepared.home, root := tmp_path / str(kib))
        codes.append(run(change, root, kib * 1024))
        all_or_nothing(change, root, codes[-1], prepared)
    assert codes[0] == 2
    assert codes[-1] == 0
    tally("history: a change of a file that may not grow", len(codes))


@contextmanager
def disk(folder: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", ROOMY, "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a file system here; files of limited size are tested instead")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(folder: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{size}", str(folder)], check=True)


@pytest.mark.parametrize("change", CHANGES)
def test_a_disk_that_is_nearly_full(change, prepared: Prepared, tmp_path: Path, tally) -> None:
    codes = []
    with disk(tmp_path / "disk") as folder:
        for kib in LEVELS:
            resize(folder, ROOMY)
            shutil.copytree(prepared.home, root := folder / "home")
            used = shutil.disk_usage(folder).used // 1024
            resize(folder, f"size={used + kib}k")
            codes.append(run(change, root))
            resize(folder, ROOMY)
            all_or_nothing(change, root, codes[-1], prepared)
            shutil.rmtree(root)
    assert codes[0] == 2
    assert codes[-1] == 0
    tally("history: a change on a disk that is nearly full", len(codes))
