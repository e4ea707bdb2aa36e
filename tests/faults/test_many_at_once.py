"""Two daemons, four command lines and readers on one home: nothing lost, nothing twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import automation_projects as tiny
import duckdb
import pytest
from test_daemon import daemon, wait_for
from warm_project import Run, Warm

from memory_assets.store.disk import sweep
from memory_assets.store.integrity import damage

VERSIONS = 3
LONGEST_SECONDS = 600

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]


class Readers:
    """Threads that open the published history over and over."""

    def __init__(self, path: Path, count: int) -> None:
        self.path, self.opened, self.errors = path, 0, []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._read) for _ in range(count)]

    def _read(self) -> None:
        while not self.over.is_set():
            time.sleep(0.05)
            if not self.path.exists():
                continue
            try:
                with duckdb.connect(str(self.path), read_only=True) as con:
                    assert con.execute("FROM incomplete").fetchall() == []
                self.opened += 1
            except Exception as error:
                self.errors.append(repr(error))


@contextmanager
def reading(home: Path, count: int = 2) -> Iterator[Readers]:
    readers = Readers(home / "history.duckdb", count)
    for thread in readers.threads:
        thread.start()
    try:
        yield readers
    finally:
        readers.over.set()
        for thread in readers.threads:
            thread.join(60)


def audits(home: Path) -> list[str]:
    with duckdb.connect(str(home / "history.duckdb"), read_only=True) as con:
        return [v for (v,) in con.execute("SELECT model_version FROM audits ORDER BY 1").fetchall()]


def command_lines(warm: Warm, home: Path, new: Path) -> list[Run]:
    """Four people at once: two audit everything, one a version, one hands over another."""
    return [
        warm.start(home, "command", "audit"),
        warm.start(home, "command", "audit"),
        warm.start(home, "command", "audit", "tiny", "--version", "v2"),
        warm.start(home, "command", "register", "tiny", str(new), "--version", "v3", "--audit"),
    ]


def whole(home: Path, expected: list[str], blocks: int) -> None:
    """Every audit once, every block of shadow models once, and nothing left over."""
    assert audits(home) == expected
    assert len(list((home / "artifacts" / "audit").iterdir())) == len(expected)
    assert len(list((home / "artifacts" / "shadow-models").iterdir())) == blocks
    assert [damage(path) for path in (home / "artifacts").glob("*/*") if damage(path)] == []
    sweep(home)
    assert not list((home / "tmp").iterdir())
    assert [path.name for path in (home / "history").iterdir()] == ["writer.duckdb"]


@pytest.fixture
def versions(warm: Warm, tmp_path: Path) -> Iterator[Path]:
    """A second version in the project, and the file of a third one; both gone afterwards."""
    tiny.write_checkpoint(warm.root / "tiny", "v2", seed=2)
    tiny.write_checkpoint(tmp_path / "elsewhere", "v3", seed=3)
    yield tmp_path / "elsewhere" / "checkpoints" / "v3.safetensors"
    for name in ("v2", "v3", "v4"):
        (warm.root / "tiny" / "checkpoints" / f"{name}.safetensors").unlink(missing_ok=True)


def test_two_daemons_four_command_lines_and_readers(
    warm: Warm, tmp_path: Path, versions: Path, tally
) -> None:
    """The daemons are stepped: their sensors, automation and runs, without Dagster's servers."""
    home = tmp_path / "home"
    with reading(home) as readers:
        daemons = [warm.start(home, "daemon", VERSIONS, LONGEST_SECONDS) for _ in range(2)]
        lines = command_lines(warm, home, versions)
        for run in (*lines, *daemons):
            assert run.wait() == 0, run.text
    assert readers.errors == []
    assert readers.opened > 0
    whole(home, ["v1", "v2", "v3"], blocks=2)
    tally("concurrency: processes on one home", len(lines) + len(daemons))
    tally("concurrency: readers that opened the history meanwhile", readers.opened)


@pytest.mark.long
def test_two_whole_daemons_four_command_lines_and_readers(
    warm: Warm, versions: Path, tally
) -> None:
    """As above, with two `memory-assets ui` and all their servers."""
    home = warm.root / "home"
    with reading(home) as readers, daemon(warm.root), daemon(warm.root):
        lines = command_lines(warm, home, versions)
        for run in lines:
            assert run.wait() == 0, run.text
        wait_for(lambda: audits(home) == ["v1", "v2", "v3"], warm.root, LONGEST_SECONDS)
        tiny.write_checkpoint(warm.root / "tiny", "v4", seed=4)
        wait_for(lambda: len(audits(home)) == VERSIONS + 1, warm.root, LONGEST_SECONDS)
        time.sleep(20)
    assert readers.errors == []
    whole(home, ["v1", "v2", "v3", "v4"], blocks=2)
    tally("concurrency: processes on one home", len(lines) + 2)
    tally("concurrency: readers that opened the history meanwhile", readers.opened)
