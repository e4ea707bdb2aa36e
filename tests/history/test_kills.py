"""A writer killed at any moment: the next one completes, and readers see whole audits only."""

from __future__ import annotations

import multiprocessing
import random
import time
from pathlib import Path

import duckdb
import pytest
from history_bundles import TABLES, bundle, written

from memory_assets.history.store import History
from memory_assets.store.disk import sweep

pytestmark = pytest.mark.slow

SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(["memory_assets.history.store"])
AUDITS = 3


def write_forever(root: Path, folders: list[Path], ready) -> None:
    """Append, publish, rebuild, forget: every way in which the files change."""
    history = History(root)
    ready.set()
    while True:
        for folder in folders:
            history.append(folder)
            history.publish()
        history.register_subject("digits", "team:x", 30 + int(time.time() * 1000) % 100)
        history.rebuild(folders)


def content(path: Path) -> list[list[tuple]]:
    with duckdb.connect(str(path), read_only=True) as con:
        assert con.execute("FROM incomplete").fetchall() == []
        return [
            sorted(con.execute(f"FROM {table}").fetchall(), key=repr)
            for table in (*TABLES, "contents")
        ]


def kill_many(tmp_path: Path, kills: int, seed: int, longest: float) -> int:
    """Kill a writer `kills` times, up to `longest` seconds after its start.

    Returns how often not every audit was published yet.
    """
    rng = random.Random(seed)
    folders = [written(tmp_path / "b", bundle(version=f"v{i}", day=i)) for i in range(AUDITS)]
    History(tmp_path / "undisturbed").append_all(folders)
    expected = content(tmp_path / "undisturbed" / "history.duckdb")
    unfinished = 0
    for kill in range(kills):
        # Half of the kills meet an empty home, half one that has been killed before.
        root = tmp_path / f"home-{kill // 2}"
        ready = SPAWN.Event()
        writer = SPAWN.Process(target=write_forever, args=(root, folders, ready))
        writer.start()
        assert ready.wait(60)
        time.sleep(rng.uniform(0, longest))
        writer.kill()
        writer.join(60)
        published = root / "history.duckdb"
        seen = content(published)[0] if published.exists() else []
        unfinished += len(seen) < AUDITS
        assert set(seen) <= set(expected[0])
        if kill % 2:
            History(root).append_all(folders)
            assert content(published) == expected
            sweep(root)
            assert {p.name for p in root.iterdir()} == {
                "history",
                "history.duckdb",
                "locks",
                "tmp",
            }
            assert [p.name for p in (root / "history").iterdir()] == ["writer.duckdb"]
            assert not list((root / "tmp").iterdir())
    return unfinished


def test_killed_at_random_moments(tmp_path: Path) -> None:
    assert kill_many(tmp_path, kills=8, seed=0, longest=0.6) > 0


@pytest.mark.slow
def test_killed_at_a_hundred_random_moments(tmp_path: Path, capsys) -> None:
    unfinished = kill_many(tmp_path, kills=100, seed=1, longest=2.0)
    with capsys.disabled():
        print(f"\n100 kills, {unfinished} before all audits were published: none lost, none twice")
