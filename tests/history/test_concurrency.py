"""Many processes on one history: nothing lost, nothing twice, readers never disturbed."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import duckdb
import pytest
from history_bundles import bundle, written

from memory_assets.history.store import History

# Children come from a clean server that has imported everything once.
SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(["memory_assets.history.store"])
WRITERS = 8
RECORDS = 300


def append_all(root: Path, folders: list[Path], start) -> None:
    start.wait()
    history = History(root)
    for folder in folders:
        history.append(folder)
        history.publish()


def read_all(root: Path, stop, results) -> None:
    """Open the published file over and over; report what was seen, or the first error."""
    opened, seen = 0, set()
    try:
        while not stop.is_set():
            with duckdb.connect(str(root / "history.duckdb"), read_only=True) as con:
                audits = con.execute(
                    """
                    SELECT
                        (SELECT count(*) FROM audits),
                        (SELECT count(*) FROM measurements),
                        (SELECT count(*) FROM controls),
                        (SELECT count(*) FROM record_scores)
                    """
                ).fetchone()
            opened += 1
            seen.add(audits)
        results.put((opened, seen, ""))
    except Exception as error:
        results.put((opened, seen, repr(error)))


def hammer(root: Path, bundles: Path, audits: int, readers: int) -> int:
    """Eight writers, each with its own audits and one that all of them append."""
    shared = written(bundles, bundle(version="shared", records=RECORDS))
    own = [written(bundles, bundle(version=f"v{i}", records=RECORDS)) for i in range(audits)]
    History(root).publish()
    start, stop, results = SPAWN.Event(), SPAWN.Event(), SPAWN.Queue()
    writers = [
        SPAWN.Process(target=append_all, args=(root, [*own[i::WRITERS], shared], start))
        for i in range(WRITERS)
    ]
    watchers = [
        SPAWN.Process(target=read_all, args=(root, stop, results), daemon=True)
        for _ in range(readers)
    ]
    for process in (*watchers, *writers):
        process.start()
    time.sleep(0.2)
    start.set()
    for writer in writers:
        writer.join(timeout=300)
        assert writer.exitcode == 0
    stop.set()
    opened = 0
    for _ in watchers:
        count, seen, error = results.get(timeout=60)
        assert error == ""
        # Every state that was seen is a whole number of whole audits.
        assert seen <= {(n, n, n, 2 * RECORDS * n) for n in range(audits + 2)}
        opened += count
    for watcher in watchers:
        watcher.join(timeout=60)
    with duckdb.connect(str(root / "history.duckdb"), read_only=True) as con:
        found = con.execute("SELECT model_version FROM audits").fetchall()
        assert con.execute("FROM incomplete").fetchall() == []
    assert sorted(found) == sorted([("shared",), *((f"v{i}",) for i in range(audits))])
    assert not list((root / "tmp").iterdir())
    return opened


def test_eight_writers_and_a_reader(tmp_path: Path) -> None:
    opened = hammer(tmp_path / "home", tmp_path / "b", audits=WRITERS, readers=1)
    assert opened > 0


@pytest.mark.slow
def test_a_hundred_appends_under_readers(tmp_path: Path, capsys) -> None:
    opened = hammer(tmp_path / "home", tmp_path / "b", audits=100, readers=3)
    with capsys.disabled():
        print(f"\n{opened} opens by readers during 100 appends and publishes: no error")
