"""A disk that is full or may not be written, and a clock that is set back."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from warm_project import Run, Warm, published_audits, results

from memory_assets.store.integrity import damage

MONTH = 30 * 86_400

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]


def nothing_half_written(home: Path) -> None:
    assert published_audits(home) <= 1
    for artifact in (home / "artifacts").glob("*/*"):
        assert damage(artifact) == ""
    assert not list((home / "tmp").glob("*"))


def refused(run: Run, words: str) -> None:
    """It ended with one clear line and nothing else."""
    code = run.wait()
    lines = [line for line in run.text.splitlines() if line.strip()]
    assert code == 2, run.text
    assert len(lines) == 1, run.text
    assert re.fullmatch(rf"memory-assets: .*({words}).*", lines[0]), run.text


@contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[None]:
    """A file system of this size; it may grow while it is there (`mount -o remount`)."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system here; files of limited size are tested instead")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk(warm: Warm, audited: Path, tmp_path: Path, undisturbed: dict, tally) -> None:
    """The disk is full at five points of an audit; once there is room the audit goes on."""
    need = sum(f.stat().st_blocks // 2 for f in audited.rglob("*"))
    rng = random.Random(3)
    sizes = [int(need * (share + rng.uniform(0, 0.12))) for share in (0.02, 0.15, 0.3, 0.5, 0.7)]
    for number, kib in enumerate(sizes):
        with small_disk(disk := tmp_path / f"disk-{number}", max(kib, 16)):
            refused(warm.start(disk / "home", "steps", "tiny", "v1"), "no space left")
            nothing_half_written(disk / "home")
            remount = ["mount", "-o", "remount,size=100m", str(disk)]
            subprocess.run(remount, check=True)
            warm.run(disk / "home", "steps", "tiny", "v1")
            assert results(disk / "home") == undisturbed
    tally("faults: a full disk", len(sizes))


@pytest.mark.parametrize("largest", [2_000, 20_000, 400_000])
def test_a_file_that_may_not_grow(
    warm: Warm, tmp_path: Path, undisturbed: dict, largest: int, tally
) -> None:
    home = tmp_path / "home"
    run = warm.start(home, "steps", "tiny", "v1", largest_file=largest)
    refused(run, "no space left")
    nothing_half_written(home)
    warm.run(home, "steps", "tiny", "v1")
    assert results(home) == undisturbed
    tally("faults: a file that may not grow", 1)


def test_a_full_disk_below_the_graph(warm: Warm, tmp_path: Path, tally) -> None:
    """Dagster's own files meet it first."""
    home = tmp_path / "home"
    limited = warm.start(home, "command", "audit", largest_file=60_000)
    refused(limited, "no space left|disk I/O error")  # SQLite does not tell which
    assert published_audits(home) == 0
    tally("faults: a full disk", 1)


def read_only(home: Path) -> dict[Path, int]:
    modes = {path: path.stat().st_mode for path in [home, *home.rglob("*")]}
    for path in modes:
        path.chmod(0o500 if path.is_dir() else 0o400)
    return modes


def test_a_read_only_home(
    warm: Warm, audited: Path, tmp_path: Path, undisturbed: dict, tally
) -> None:
    """An empty one and one with an audit: each refuses in one line, and can be read."""
    (empty := tmp_path / "empty").mkdir()
    read_only(empty)
    refused(warm.start(empty, "steps", "tiny", "v1", powerless=True), "may not be written")
    refused(warm.start(empty, "command", "audit", powerless=True), "may not be written")
    assert not list(empty.iterdir())

    shutil.copytree(audited, home := tmp_path / "home")
    modes = read_only(home)
    refused(warm.start(home, "steps", "tiny", "v1", powerless=True), "may not be written")
    asked = warm.start(home, "command", "query", "leakage-by-version", powerless=True)
    assert asked.wait() == 0, asked.text
    assert "v1" in asked.text
    for path, mode in modes.items():
        path.chmod(mode)
    assert results(home) == undisturbed
    warm.run(home, "steps", "tiny", "v1")
    assert results(home) == undisturbed
    tally("faults: a home that may not be written", 4)


@pytest.mark.parametrize("phase", ["pool", "signals", "scores", "publish"])
def test_a_clock_set_back_by_a_month(
    warm: Warm, tmp_path: Path, undisturbed: dict, phase: str, tally
) -> None:
    home = tmp_path / "home"
    warm.run(home, "steps", "tiny", "v1", phase == "publish", clock=(MONTH, phase))
    found = results(home)
    if phase != "publish":
        found["files"] |= {name for name in undisturbed["files"] if name.startswith("reports")}
    assert found == undisturbed
    with duckdb.connect(str(home / "history.duckdb"), read_only=True) as con:
        assert con.execute("SELECT finished_at >= started_at FROM audits").fetchall() == [(True,)]
    tally("faults: a clock set back", 1)


def test_locks_that_dead_processes_left(
    warm: Warm, tmp_path: Path, undisturbed: dict, tally
) -> None:
    """The files of locks stay; their holders' deaths freed them."""
    home = tmp_path / "home"
    run = warm.start(home, "steps", "tiny", "v1")
    assert run.until_phase("pool")
    run.kill()
    names = ["history", "audit-tiny", *(f"build-{stripe:02d}" for stripe in range(64))]
    for name in names:
        (home / "locks" / f"{name}.lock").write_text(str(run.pid))
    warm.run(home, "steps", "tiny", "v1")
    assert results(home) == undisturbed
    shutil.rmtree(home)
    tally("faults: locks left by dead processes", len(names))
