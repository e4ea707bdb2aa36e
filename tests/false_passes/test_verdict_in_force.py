"""The gate speaks of the audit of what is there now: not of the newest, nor by any clock."""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from gated_project import TinyProject, concluded, make_project

from memory_assets.dagster.sensors.notices import _Memory, look
from memory_assets.history.bundle import AuditBundle
from memory_assets.history.questions import ask
from memory_assets.history.store import History
from memory_assets.results.formulas import CONCLUSION, RATES, SIGNALS, Formula
from memory_assets.workflows.model_sources.by_recipe import ByRecipe
from memory_assets.workflows.pricing import recorded

sys.path.append(str(Path(__file__).parents[1] / "history"))
from history_bundles import bundle, written

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyProject:
    return make_project(tmp_path, monkeypatch)


IN_FORCE = "select audit_id from audits_in_force where model_version = 'v1'"


def set_limit(project: TinyProject, right: bool) -> None:
    project.declare(limit=0.6 if right else 0.9)


def set_members(project: TinyProject, right: bool) -> None:
    ids = [f"r{i}" for i in (range(30) if right else range(15, 45))]
    with (project.root / "tiny" / "members.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id"], *([one] for one in ids)])


def set_other_members(project: TinyProject, right: bool) -> None:
    """Another list under another name, in place of other lines in the same one."""
    shutil.copy(project.root / "tiny" / "members.csv", project.root / "tiny" / "others.csv")
    with (project.root / "tiny" / "others.csv").open("a") as file:
        file.write("r31\r\n")
    project.declare(members="tiny/members.csv" if right else "tiny/others.csv")


def set_weights(project: TinyProject, right: bool) -> None:
    project.release("v1", seed=1 if right else 2)


def set_recipe(project: TinyProject, right: bool) -> None:
    project.declare(epochs=1 if right else 2)


CHANGES = [set_limit, set_members, set_other_members, set_weights, set_recipe]
each_change = pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__[4:])


@each_change
def test_what_changed_since_the_audit_is_not_audited(project: TinyProject, change: Callable):
    change(project, True)
    concluded(project, "pass")
    assert project.gate()[0] == 0
    change(project, False)
    code, said = project.gate()
    assert (code != 0, said["verdict"], said["audit_id"]) == (True, "not audited", "")
    assert "changed since its audit" in said["reason"]
    assert "v1" in said["reason"]


@each_change
def test_what_was_changed_back_has_its_own_audit_again(project: TinyProject, change: Callable):
    change(project, True)
    failed = concluded(project, "fail", day=1)
    change(project, False)
    passed = concluded(project, "pass", day=2)
    assert project.gate()[1]["audit_id"] == passed
    change(project, True)  # nothing was audited since
    code, said = project.gate()
    assert (code, said["verdict"], said["audit_id"]) == (1, "fail", failed)


@pytest.mark.parametrize("formula", [CONCLUSION, RATES, SIGNALS], ids=lambda f: f.name)
def test_an_audit_by_formulas_that_were_corrected_since_does_not_speak(
    project: TinyProject, monkeypatch: pytest.MonkeyPatch, formula: Formula
):
    """A new release of the program knows that it would come out otherwise."""
    concluded(project, "pass")
    monkeypatch.setattr(formula, "number", formula.number + 1)
    code, said = project.gate()
    assert (code, said["verdict"], said["audit_id"]) == (5, "not audited", "")
    assert "formulas" in said["reason"]
    failed = concluded(project, "fail")
    code, said = project.gate()
    assert (code, said["audit_id"]) == (1, failed)


def test_how_models_are_asked_is_part_of_what_was_audited(
    project: TinyProject, monkeypatch: pytest.MonkeyPatch
):
    concluded(project, "pass")
    asked = ByRecipe.asked_by
    monkeypatch.setattr(ByRecipe, "asked_by", lambda way: [*asked(way), "flip"])
    assert project.gate()[1]["verdict"] == "not audited"


def test_a_clock_in_the_future_keeps_no_pass(project: TinyProject):
    """The limit was wider for an hour, while the clock stood years ahead."""
    set_limit(project, False)
    years = concluded(project, "pass", day=4000)
    set_limit(project, True)
    failed = concluded(project, "fail", day=1)
    code, said = project.gate()
    assert (code, said["audit_id"]) == (1, failed)
    assert ask(project.home, IN_FORCE)["audit_id"].to_pylist() == [failed]
    assert years != failed


def two_states(home: Path, folder: Path) -> tuple[AuditBundle, AuditBundle]:
    """A failed audit of v1, and later one of another state that passed."""
    made = [bundle("tiny", "v1", day=day, records=0) for day in (1, 2)]
    made = [
        replace(one, audit=replace(one.audit, verdict=verdict))
        for one, verdict in zip(made, ("fail", "pass"), strict=True)
    ]
    History(home).append_all([written(folder, one) for one in made[:1]])
    History(home).append_all([written(folder, one) for one in made[1:]])
    return made[0], made[1]


def test_every_reader_of_the_history_means_the_audit_in_force(tmp_path: Path):
    home, memory = tmp_path / "home", _Memory()
    failed, passed = two_states(home, tmp_path / "b")
    assert look(memory, home, tell=True) == []
    assert History(home).put_in_force({failed.audit.audit_id: datetime.now(UTC)})
    assert not History(home).put_in_force({failed.audit.audit_id: datetime.now(UTC)})

    means = failed.audit.audit_id
    assert ask(home, IN_FORCE)["audit_id"].to_pylist() == [means]
    for view in ("versions", "latest", "leakage_trend"):
        assert set(ask(home, f"select audit_id from {view}")["audit_id"].to_pylist()) == {means}
    assert ask(home, "verdicts")["verdict"].to_pylist() == ["fail"]
    found = recorded(home, "tiny", "v1")
    assert found is not None
    assert found.audit.audit_id == means
    notices = look(memory, home, tell=True)
    assert [(one.event, one.version) for one in notices] == [("failed gate", "v1")]
    assert look(memory, home, tell=True) == []
    assert passed.audit.audit_id != means


def test_the_order_survives_a_rebuild_and_a_purge(tmp_path: Path):
    home = tmp_path / "home"
    failed, passed = two_states(home, tmp_path / "b")
    History(home).put_in_force({failed.audit.audit_id: datetime.now(UTC)})
    History(home).rebuild([tmp_path / "b" / one.audit.audit_id for one in (failed, passed)])
    assert ask(home, IN_FORCE)["audit_id"].to_pylist() == [failed.audit.audit_id]
    History(home).forget_records("tiny")
    assert ask(home, IN_FORCE)["audit_id"].to_pylist() == [failed.audit.audit_id]


def test_where_nobody_wrote_the_order_down_no_future_time_counts(tmp_path: Path):
    home = tmp_path / "home"
    ahead, last = (bundle("tiny", "v1", day=day, records=0) for day in (4000, 2))
    first = bundle("tiny", "v1", day=1, records=0)
    folders = [written(tmp_path / "b", one) for one in (ahead, first, last)]
    History(home).rebuild(folders)
    assert ask(home, IN_FORCE)["audit_id"].to_pylist() == [last.audit.audit_id]


def test_an_audit_of_a_time_to_come_is_due_until_it_is_confirmed(tmp_path: Path):
    home, ahead = tmp_path / "home", bundle("tiny", "v1", day=4000, records=0)
    History(home).append_all([written(tmp_path / "b", ahead)])
    History(home).register_subject("tiny", "team:x", 30, ["v1"])
    assert ask(home, "audits_due")["subject"].to_pylist() == ["tiny"]
    assert History(home).confirm({ahead.audit.audit_id: datetime.now(UTC) - timedelta(seconds=1)})
    assert ask(home, "audits_due").num_rows == 0


def test_a_history_of_an_older_version_keeps_its_order(tmp_path: Path):
    """By its clocks, which were all it had; a time that is yet to come comes first."""
    home = tmp_path / "home"
    failed, passed = two_states(home, tmp_path / "b")
    ahead = bundle("tiny", "v1", day=4000, records=0)
    History(home).append_all([written(tmp_path / "b", ahead)])
    for file in (home / "history.duckdb", home / "history" / "writer.duckdb"):
        with duckdb.connect(str(file)) as con:
            con.execute("DROP TABLE in_force_since")
            con.execute(
                "CREATE TABLE risk_in_force (audit_id VARCHAR, risk_id VARCHAR, since TIMESTAMPTZ)"
            )
            con.execute(
                "DELETE FROM applied_files WHERE file LIKE 'views/%' OR file LIKE '%/0008%'"
            )
    History(home).upgrade()
    assert ask(home, IN_FORCE)["audit_id"].to_pylist() == [passed.audit.audit_id]
    order = ask(home, "select bundle_id from in_force_since order by sequence")["bundle_id"]
    expected = [one.audit.audit_id for one in (ahead, failed, passed)]
    assert order.to_pylist() == expected


def test_an_audit_run_puts_an_earlier_audit_in_force_without_measuring(project: TinyProject):
    """From end to end: what `audit` says, `gate`, the page and SQL say as well."""
    limits = (0.55, 0.99, 0.55)
    seen = []
    for limit in limits:
        project.declare(limit=limit)
        project.audit()
        code, said = project.gate()
        assert code != 0  # its manifest names other members
        seen.append(said["audit_id"])
        (in_force,) = ask(project.home, IN_FORCE)["audit_id"].to_pylist()
        page = project.home / "reports" / "tiny" / "v1" / "en.html"
        assert said["audit_id"] == in_force
        assert in_force in page.read_text(encoding="utf-8")
    assert seen[0] == seen[2] != seen[1]
    assert ask(project.home, "select count(*) as n from audits")["n"].to_pylist() == [2]
    project.declare(limit=0.99)
    assert project.gate()[1]["audit_id"] == seen[1]
