"""A note of what was appended that a failing disk wrote over bricks no history."""

from __future__ import annotations

from pathlib import Path

import pytest
from history_bundles import bundle, written

from memory_assets.history.files import Files
from memory_assets.history.questions import ask
from memory_assets.history.store import History

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "noted", [b"\xff\xfe\x00", b"null\n", b"[1, 2]\n", b'{"a": 3}\n', b"\0" * 99]
)
def test_a_damaged_note_holds_nothing_back(tmp_path: Path, noted: bytes):
    home = tmp_path / "home"
    History(home).append_all([written(tmp_path / "b", bundle(version="v1", records=2))])
    History(home).append(written(tmp_path / "b", bundle(version="v2", day=2, records=2)))
    pending = Files(home).pending
    pending.write_bytes(noted + pending.read_bytes())
    History(home).append(written(tmp_path / "b", bundle(version="v3", day=3, records=2)))
    History(home).publish()
    assert ask(home, "select count(*) as n from audits")["n"].to_pylist() == [3]
