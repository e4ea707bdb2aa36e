"""While a change is put in place there is always a file that holds all there was before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from history_bundles import bundle, written

from memory_assets.errors import InputError
from memory_assets.history.questions import ask
from memory_assets.history.store import Action, History

pytestmark = pytest.mark.slow


def damage(published: Path) -> None:
    published.write_bytes(b"x" * published.stat().st_size)


def damage_a_row(published: Path) -> None:
    """It opens and is counted as before; the block with the first action does not read."""
    content = bytearray(published.read_bytes())
    content[content.rindex(b"first")] ^= 1
    published.write_bytes(content)


def act(home: Path, description: str) -> None:
    History(home).record_action(Action("digits", "v1", "sign-off", description, "team:x"), "ann")


def forget(home: Path) -> None:
    History(home).forget_records("digits")


def rebuild(home: Path) -> None:
    History(home).rebuild([])


@pytest.mark.parametrize("change", [lambda home: act(home, "second"), forget, rebuild])
@pytest.mark.parametrize("spoil", [Path.unlink, damage, damage_a_row])
@pytest.mark.parametrize("failures", [1, 2])
def test_a_disk_that_renames_nothing_leaves_the_only_sound_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    spoil: Callable[[Path], None],
    failures: int,
):
    """The published file is gone or damaged, and a new one cannot be put there either."""
    home = tmp_path / "home"
    History(home).append_all([written(tmp_path / "b", bundle(records=3))])
    act(home, "first")
    spoil(home / "history.duckdb")
    replace, seen = Path.replace, []

    def failing(source: Path, target: Path) -> Path:
        if target == home / "history.duckdb":
            seen.append(target)
            if len(seen) == failures:
                raise OSError(5, "Input/output error")
        return replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", failing)
        with pytest.raises(InputError, match="failed"):
            change(home)
    act(home, "third")
    assert ask(home, "select count(*) as n from audits")["n"].to_pylist() == [1]
    said = ask(home, "select description from actions order by recorded_at")["description"]
    assert said.to_pylist() == ["first", "third"]
