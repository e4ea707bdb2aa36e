"""A purge and an audit that want the same artifact: whoever asked for it finds it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from memory_assets.store.artifacts import ArtifactStore

KEY = "ab" * 32


def make(path: Path) -> None:
    path.write_bytes(b"signals")


def test_what_another_asked_for_stays(tmp_path: Path):
    leaving, staying = ArtifactStore(tmp_path, "leaving"), ArtifactStore(tmp_path, "staying")
    made = leaving.get_or_build("signals", KEY, make)
    assert staying.get_or_build("signals", KEY, make).reused
    assert not leaving.give_up("signals", KEY)
    assert made.path.exists()
    assert ArtifactStore(tmp_path, "staying").exists("signals", KEY)


def test_what_nobody_else_asked_for_goes_with_its_digests(tmp_path: Path):
    store = ArtifactStore(tmp_path, "leaving")
    made = store.get_or_build("signals", KEY, make)
    assert store.give_up("signals", KEY)
    assert not made.path.exists()
    assert not list((tmp_path / "digests").rglob("*b"))


def test_who_asks_in_the_middle_gets_it_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The claim comes after the purge looked for claims, and before it deletes."""
    leaving, staying = ArtifactStore(tmp_path, "leaving"), ArtifactStore(tmp_path, "staying")
    leaving.get_or_build("signals", KEY, make)
    found = []
    audit = threading.Thread(
        target=lambda: found.append(staying.get_or_build("signals", KEY, make))
    )
    discard = ArtifactStore.discard

    def late(store: ArtifactStore, path: Path) -> None:
        audit.start()
        while not (tmp_path / "owners" / "staying" / "signals" / KEY).exists():
            pass
        audit.join(0.5)  # time enough to take what is about to go
        discard(store, path)

    monkeypatch.setattr(ArtifactStore, "discard", late)
    assert leaving.give_up("signals", KEY)
    audit.join(60)
    assert [artifact.reused for artifact in found] == [False]
    assert found[0].path.read_bytes() == b"signals"
