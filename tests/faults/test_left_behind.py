"""What killed writers leave is removed when its writer is known to be dead, and not before."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import dagster as dg
import pytest

import memory_assets
from memory_assets.dagster.sensors.abandoned import abandoned_runs
from memory_assets.store.disk import replacing, sweep, temporary_folder, write_private
from memory_assets.workflows.home import Home

HERE = socket.gethostname()


def dead() -> int:
    """The id of a process that is over."""
    pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", ""])
    os.waitpid(pid, 0)
    return pid


def age(path: Path, seconds: float) -> None:
    for each in (*path.rglob("*"), path):
        then = each.stat().st_mtime - seconds
        os.utime(each, (then, then))


def left(home: Path, writer: str) -> Path:
    folder = home / "tmp" / f"{writer}@12345678"
    folder.mkdir(parents=True)
    (folder / "x.npy").write_bytes(b"half")
    return folder


def test_only_the_dead_are_swept(tmp_path: Path):
    of_the_dead = left(tmp_path, f"{HERE}@{dead()}")
    elsewhere, forgotten = left(tmp_path, "pod-a@7"), left(tmp_path, "pod-b@7")
    age(elsewhere, 23 * 3600)
    age(forgotten, 25 * 3600)
    with temporary_folder(tmp_path) as mine:
        assert sweep(tmp_path) == 2
        assert mine.is_dir()
        assert elsewhere.is_dir()
    assert not of_the_dead.exists()
    assert not forgotten.exists()
    assert not mine.exists()


def test_a_machine_at_work_is_known_by_any_file_of_its_folder(tmp_path: Path):
    folder = left(tmp_path, "pod-a@7")
    age(folder, 25 * 3600)
    (folder / "x.npy").write_bytes(b"more")
    assert sweep(tmp_path) == 0


def test_a_daemon_sweeps_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A home that only a daemon works in has no command that would."""
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path))
    folder = left(tmp_path, f"{HERE}@{dead()}")
    with dg.DagsterInstance.ephemeral() as instance:
        said = abandoned_runs(dg.build_sensor_context(instance, resources={"home": Home(tmp_path)}))
    assert "1 temporary folders removed" in str(said.skip_message)  # type: ignore[union-attr]
    assert not folder.exists()


def test_a_file_of_another_machine_is_its_own_affair(tmp_path: Path):
    """Its process has an id that nobody has here, and writes all the same."""
    path = tmp_path / "en.html"
    at_work = tmp_path / f".en.html@pod-a@{dead()}.tmp"
    given_up = tmp_path / f".en.html@{HERE}@{dead()}.tmp"
    for other in (at_work, given_up):
        other.write_text("half")
    write_private(path, "whole")
    assert sorted(tmp_path.iterdir()) == sorted([at_work, path])


def test_what_fails_half_way_leaves_file_and_folder_as_they_were(tmp_path: Path):
    file, folder = tmp_path / "a@b.csv", tmp_path / "v1"
    file.write_text("first")
    folder.mkdir()
    (folder / "w").write_text("first")

    def fails(path: Path) -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise ValueError("half way")

    for path in (file, folder):
        with pytest.raises(ValueError, match="half way"):
            fails(path)
    assert (file.read_text(), (folder / "w").read_text()) == ("first", "first")
    with replacing(folder) as temporary:
        temporary.mkdir()
    assert not list(folder.iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a@b.csv", "v1"]


def test_no_other_module_writes_under_a_name_beside():
    """There is one way to write a file whole or not at all."""
    package = Path(memory_assets.__file__).parent
    own = {"store/disk.py", "examples/notes.py", "models/strays.py"}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if name not in own:
            assert '.tmp"' not in path.read_text(encoding="utf-8"), name
