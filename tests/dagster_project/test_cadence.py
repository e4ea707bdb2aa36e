"""How often an audit is due: the owner's word, or the audit plan's where that is sooner."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from automation_projects import tiny_subject

from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.confirmations import AUDIT_ID, last_runs
from memory_assets.history.money import RiskRun, write_risk
from memory_assets.history.store import History
from memory_assets.workflows.home import Home
from memory_assets.workflows.record import cadence_in_force

sys.path.append(str(Path(__file__).parents[1] / "history"))
from history_bundles import bundle, written
from test_store import NOW, Estimated


@pytest.fixture
def home(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def priced(folder: Path, audit_id: str, every_years: float) -> Path:
    folder.mkdir(parents=True)
    run = RiskRun("risk-1", audit_id, "retail-eu", "p" * 64, "0.1.0", NOW)
    row = Estimated("as_is", "audit_every", "years", every_years, None, None, "assumed")
    write_risk(folder, run, [row])
    return folder


@pytest.mark.parametrize(("every_years", "days"), [(20 / 365, 20), (1.0, 90)])
def test_the_plan_decides_where_it_is_sooner(home: Path, tmp_path: Path, every_years, days):
    subject = tiny_subject("digits", cadence_days=90)
    assert cadence_in_force(Home(home), subject) == 90
    made = bundle()
    History(home).append_all([written(tmp_path / "b", made)])
    History(home).append_all([priced(tmp_path / "risk", made.audit.audit_id, every_years)])
    assert cadence_in_force(Home(home), subject) == days


def test_an_audit_is_late_after_the_owners_cadence(tmp_path: Path):
    """What the plan says is asked of the history when the schedule ticks."""
    graph = SubjectGraph(tiny_subject("digits", cadence_days=90), tmp_path)
    policy = graph.asset_arguments("leakage", set(), "1")["freshness_policy"]
    assert policy.fail_window.to_timedelta() == timedelta(days=90)
    assert "freshness_policy" not in graph.asset_arguments("dataset", set(), "1")


def test_the_last_run_of_each_version_counts():
    with dg.DagsterInstance.ephemeral() as instance:

        def ran(version: str, **metadata: str) -> datetime:
            key = dg.AssetKey(["digits", "leakage"])
            event = dg.AssetMaterialization(key, metadata=metadata, partition=version)
            instance.report_runless_asset_event(event)
            found = instance.fetch_materializations(key, limit=1)
            return datetime.fromtimestamp(found.records[0].timestamp, UTC)

        ran("v1", **{AUDIT_ID: "older"})
        newer = ran("v1", **{AUDIT_ID: "newer"})
        second = ran("v2", **{AUDIT_ID: "second"})
        ran("v3")
        ran("withdrawn", **{AUDIT_ID: "gone"})
        released = {"digits": ["v1", "v2", "v3", "v4"], "other": ["v1"], "empty": []}
        runs = last_runs(instance, released, "leakage", AUDIT_ID)
    assert runs == {"newer": newer, "second": second}
