"""What one run reads of the state around it: versions listed once, the history opened seldom."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from memory_assets.history.questions import ask
from memory_assets.history.store import History
from memory_assets.models import checkpoints
from memory_assets.workflows.home import Home
from memory_assets.workflows.released import Released

sys.path.append(str(Path(__file__).parents[1] / "false_passes"))
sys.path.append(str(Path(__file__).parents[1] / "history"))
from gated_project import TinyProject, make_project
from history_bundles import bundle, written


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyProject:
    return make_project(tmp_path, monkeypatch)


def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often a folder was listed since it was asked last."""
    listed: Counter[str] = Counter()
    look = checkpoints.look_for_versions

    def looks(folder: Path) -> checkpoints.Listing:
        listed[str(folder)] += 1
        return look(folder)

    for name, module in list(sys.modules.items()):
        if name.startswith("memory_assets.") and vars(module).get("look_for_versions") is look:
            monkeypatch.setattr(module, "look_for_versions", looks)

    def since() -> int:
        found = listed.total()
        listed.clear()
        return found

    return since


@pytest.mark.slow
def test_an_audit_lists_the_versions_of_a_subject_once(
    project: TinyProject, monkeypatch: pytest.MonkeyPatch
):
    """And the history once more, each time it writes the order of releases down."""
    project.release("v2", seed=2)
    since = counted(monkeypatch)
    project.audit()
    assert since() == 1 + 2
    project.audit()
    assert since() == 1 + 1
    # What is released now is what lies there now, whatever an audit went by.
    project.gate()
    project.release("v3", seed=3)
    code, said = project.gate()
    assert (code, said["version"], said["verdict"]) == (5, "v3", "not audited")
    assert since() == 2


@pytest.mark.slow
def test_what_is_replaced_after_the_list_was_read_is_not_gated_by_it(
    project: TinyProject, monkeypatch: pytest.MonkeyPatch
):
    """The list says where a version lies; its bytes are asked for when they are used."""
    see = Released.see

    def replaced(released: Released, *given) -> None:
        see(released, *given)
        project.release("v1", seed=9)
        project.release("v2", seed=2)

    monkeypatch.setattr(Released, "see", replaced)
    assert "v2" not in project.audit()
    monkeypatch.undo()
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(project.home))
    monkeypatch.chdir(project.root)
    (recorded,) = ask(project.home, "select model_digest from audits")["model_digest"].to_pylist()
    path = project.checkpoints / "v1.safetensors"
    assert recorded == checkpoints.fingerprint([path])
    code, said = project.gate()
    assert (code, said["version"], said["verdict"]) == (5, "v2", "not audited")


def test_a_version_that_is_gone_since_the_list_was_read_is_none(project: TinyProject):
    versions = checkpoints.list_versions(project.checkpoints)
    assert checkpoints.still_there(versions, "v1") == project.checkpoints / "v1.safetensors"
    (project.checkpoints / "v1.safetensors").unlink()
    assert checkpoints.still_there(versions, "v1") is None
    assert checkpoints.still_there(versions, "v2") is None


def test_questions_that_are_asked_together_are_answered_from_one_state(tmp_path: Path):
    count = "select count(*) as n from audits"
    home = Home(tmp_path)

    def audits() -> int:
        return ask(home.root, count)["n"].to_pylist()[0]

    home.history.append_all([written(tmp_path / "b", bundle(version="v1"))])
    with home.asked_together():
        assert audits() == 1
        # Another process publishes: the file is replaced whole.
        other = tmp_path / "other"
        History(other).append_all(
            [written(tmp_path / "b2", bundle(version=v, day=i)) for i, v in enumerate(("a", "b"))]
        )
        History(other).published.replace(home.history.published)
        assert audits() == 1
    assert audits() == 2


def test_where_there_is_no_history_the_first_question_says_so(tmp_path: Path):
    with Home(tmp_path).asked_together():
        pass
    (tmp_path / "history.duckdb").write_bytes(b"no database")
    with Home(tmp_path).asked_together():
        pass
    assert not (tmp_path / "history").exists()


def test_questions_that_are_asked_together_open_the_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Every other one shares what is open: it loads neither the file nor its views again."""
    home = Home(tmp_path)
    home.history.append_all([written(tmp_path / "b", bundle())])
    alive: list[duckdb.DuckDBPyConnection] = []
    connect, loads = duckdb.connect, Counter()

    def opened(*given, **settings) -> duckdb.DuckDBPyConnection:
        for con in list(alive):
            try:
                con.execute("select 1")
            except duckdb.ConnectionException:
                alive.remove(con)
        loads["whole" if not alive else "shared"] += 1
        alive.append(connect(*given, **settings))
        return alive[-1]

    monkeypatch.setattr(duckdb, "connect", opened)
    with home.asked_together():
        for _ in range(3):
            ask(home.root, "select 1")
    assert loads == {"whole": 1, "shared": 3}
