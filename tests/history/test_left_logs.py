"""Write-ahead logs of other programs, and errors that are not the file's fault."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest
from history_bundles import bundle, written
from test_store import _damage_header
from typer.testing import CliRunner

from memory_assets.cli.main import app
from memory_assets.errors import InputError
from memory_assets.history import files
from memory_assets.history.files import Files
from memory_assets.history.questions import ask
from memory_assets.history.schema import migrate
from memory_assets.history.store import Action, History

pytestmark = pytest.mark.slow

ACTION = Action("digits", "v1", "corrective action", "stop early", "team:x")
VERDICTS = "select model_version, verdict from audits order by all"


@pytest.fixture
def home(tmp_path: Path, monkeypatch) -> Path:
    """A home with an audit that is in the store, too, and an action."""
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path))
    folder = written(tmp_path / "artifacts" / "audit", bundle())
    History(tmp_path).append_all([folder])
    History(tmp_path).record_action(ACTION, "ann")
    return tmp_path


def killed_while_writing(path: Path) -> Path:
    """Another program opens a file of ours for writing, makes all audits pass, and is killed."""
    pid = os.fork()
    if pid == 0:
        con = duckdb.connect(str(path))
        con.execute("UPDATE audits SET verdict = 'pass'")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    log = path.with_name(f"{path.name}.wal")
    assert log.stat().st_size
    return log


def verdicts(root: Path) -> list[tuple]:
    return [tuple(row.values()) for row in ask(root, VERDICTS).to_pylist()]


@pytest.mark.parametrize("which", ["published", "writer"])
@pytest.mark.parametrize("end", ["", ".checkpoint", ".recovery"])
def test_a_log_of_another_program_is_kept_and_never_read(home: Path, which: str, end: str) -> None:
    before = verdicts(home)
    log = killed_while_writing(getattr(Files(home), which))
    said = log.read_bytes()
    log = log.rename(log.with_name(log.name + end))
    assert verdicts(home) == before
    History(home).append_all([written(home / "b", bundle(version="v2", day=1))])
    History(home).record_action(ACTION, "bob")
    assert verdicts(home) == [*before, ("v2", "inconclusive")]
    assert ask(home, "from actions").num_rows == 2
    (kept,) = Files(home).kept_aside()
    assert kept.read_bytes() == said
    assert "of-another-program" in kept.name
    assert not log.exists()


def test_a_log_that_fits_no_file_any_more_stops_nobody(home: Path) -> None:
    """It was written beside a file that has been replaced since."""
    published = Files(home).published
    log = killed_while_writing(published)
    aside = log.rename(home / "aside")
    History(home).record_action(ACTION, "bob")
    aside.rename(log)
    History(home).upgrade()
    assert [verdict for _, verdict in verdicts(home)] == ["inconclusive"]
    aside = Files(home).kept_aside()[0].rename(home / "aside")
    aside.rename(log)
    assert CliRunner().invoke(app, ["history", "rebuild"]).exit_code == 0
    assert ask(home, "from actions").num_rows == 2


def test_a_log_that_may_not_be_moved_is_refused_and_not_read(home: Path, monkeypatch) -> None:
    killed_while_writing(Files(home).published)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(InputError, match=r"history\.duckdb\.wal was left by another") as refused:
        ask(home, VERDICTS)
    assert "rebuild" not in str(refused.value)


SAID = [
    "IO Error: Cannot open file X: Permission denied",
    "IO Error: Cannot open file X: Too many open files",
    "IO Error: Could not set lock on file X: Conflicting lock is held",
]


@pytest.mark.parametrize("said", SAID)
def test_a_file_that_may_not_be_opened_is_not_damaged(home: Path, monkeypatch, said: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise duckdb.IOException(said)

    writer = Files(home).writer.read_bytes()
    monkeypatch.setattr(duckdb, "connect", refuse)
    calls = (
        lambda: ask(home, VERDICTS),
        lambda: History(home).upgrade(),
        lambda: History(home).record_action(ACTION, "bob"),
        lambda: History(home).rebuild([]),
    )
    for call in calls:
        with pytest.raises(InputError) as refused:
            call()
        assert "rebuild" not in str(refused.value)
    assert Files(home).writer.read_bytes() == writer
    assert Files(home).kept_aside() == []


def test_a_question_that_is_refused_does_not_blame_the_file(home: Path) -> None:
    for sql in ("select * from read_csv('/etc/hostname')", "select error('x')"):
        with pytest.raises(InputError, match="the question does not run"):
            ask(home, sql)
    with (
        duckdb.connect(str(Files(home).published), read_only=True),
        pytest.raises(InputError, match="open in this process with other settings"),
    ):
        ask(home, VERDICTS)


def test_many_readers_in_one_process(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: verdicts(home), range(40)))
    assert found == [[("v1", "inconclusive")]] * 40
    with files.reading(Files(home).published) as con:
        assert con.execute("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)


def test_a_writers_file_that_lost_rows_is_not_published(home: Path) -> None:
    """Sound to look at, and empty."""
    Files(home).writer.unlink()
    with duckdb.connect(str(Files(home).writer)) as con:
        migrate(con)
    Files(home).pending.write_text("")
    History(home).publish()
    assert verdicts(home) == [("v1", "inconclusive")]
    History(home).record_action(ACTION, "bob")
    assert ask(home, "from actions").num_rows == 2


def _one_bit_of_the_scores(path: Path) -> None:
    """What was written by hand still reads, and no file reads through."""
    with duckdb.connect(str(path), read_only=True) as con:
        stored = con.execute(
            "SELECT block_id FROM pragma_storage_info('record_scores') WHERE block_id >= 0"
        ).fetchone()
    assert stored is not None
    data = bytearray(path.read_bytes())
    data[3 * 4096 + stored[0] * 256 * 1024 + 100] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [_damage_header, _one_bit_of_the_scores, Path.unlink])
def test_a_rebuild_that_finds_less_says_so_until_it_is_accepted(home: Path, damage) -> None:
    damaged = {}
    for path in (Files(home).published, Files(home).writer):
        damage(path)
        if path.exists():
            damaged[path] = path.read_bytes()
    for _ in range(2):
        result = CliRunner().invoke(app, ["history", "rebuild"])
        assert result.exit_code == 1
        assert re.search(r"less than before: .*actions, sign-offs", result.output), result.output
        assert verdicts(home) == [("v1", "inconclusive")]
    kept = Files(home).kept_aside()
    assert [path.read_bytes() for path in kept] == list(damaged.values())
    assert all(".damaged-" in path.name for path in kept)
    for arguments in (["--accept-loss"], []):
        assert CliRunner().invoke(app, ["history", "rebuild", *arguments]).exit_code == 0
    assert Files(home).kept_aside() == kept
