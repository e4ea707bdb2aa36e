"""Questions of analysts with answers worked out by hand, and migrations from every version."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from history_bundles import START, bundle, measured, rate, written

from memory_assets.errors import InputError
from memory_assets.history.questions import ask
from memory_assets.history.regressions import regressions_of
from memory_assets.history.schema import migrate, sql_folder
from memory_assets.history.store import Action, History
from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.results.record_scores import RECORD_SCORES
from memory_assets.store.digest import digest
from memory_assets.workflows.portfolio import portfolio_input

pytestmark = pytest.mark.slow


def records(audit_id: str, lows: dict[str, float]) -> pa.Table:
    rows = [
        {
            "audit_id": audit_id,
            "record_id": name,
            "member": True,
            "attack": "loss",
            "score": 0.0,
            "memorization": low + 0.1,
            "memorization_low": low,
            "memorization_high": low + 0.2,
            "influence": 0.0,
        }
        for name, low in lows.items()
    ]
    return pa.Table.from_pylist(rows, schema=RECORD_SCORES)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """`b` is exposed from v2 on; the data changed between v1 and v2, and the AUC rose."""
    root = tmp_path_factory.mktemp("home")
    folder = root / "bundles"
    lows = [{"a": 0.5, "b": 0.1}, {"a": 0.1, "b": 0.6}, {"a": 0.1, "b": 0.7}]
    aucs = [0.55, 0.75, 0.70]
    made = []
    for i, (low, auc) in enumerate(zip(lows, aucs, strict=True)):
        scores = records(digest("digits", f"v{i + 1}", "", i), low)
        lower = Estimate(1.0 + i, 1.0 + i, None, n=100)
        made.append(
            bundle(
                version=f"v{i + 1}",
                day=i,
                measurements=(
                    measured("auc", rate(auc)),
                    measured("auc", rate(auc - 0.1), name="loss"),
                    replace(measured("epsilon", lower, "epsilon", "all"), formula_version=2),
                ),
                record_scores=scores,
            )
        )
    changed = made[1].audit.__class__(**made[1].audit.__dict__ | {"data_digest": "other"})
    made[1] = made[1].__class__(changed, *list(made[1].__dict__.values())[1:])
    history = History(root)
    history.append_all([written(folder, one) for one in made])
    history.record_action(
        Action("digits", "v1", "sign-off", "released", "owner@example.com", "done"), "test"
    )
    return root


def test_the_first_version_in_which_a_record_became_exposed(root: Path):
    rows = ask(root, "first_exposed").to_pylist()
    found = {r["record_id"]: (r["first_version"], r["last_version"]) for r in rows}
    assert found == {"a": ("v1", "v1"), "b": ("v2", "v3")}
    assert ask(root, "first_exposed", {"threshold": "0.65"}).num_rows == 1


def test_the_data_change_before_a_rise(root: Path):
    (row,) = ask(root, "data_changes_before_rises").to_pylist()
    assert (row["previous_version"], row["model_version"]) == ("v1", "v2")
    assert row["data_changed"]
    assert row["weights_changed"]
    assert not row["pool_changed"]
    assert (row["figures_risen"], row["families"]) == (2, "membership")


def test_a_loss_of_quality_is_no_rise_of_leakage(tmp_path: Path):
    """Its figures are worse too, and one of them stands in the family of memorization."""
    history, folder = History(tmp_path), tmp_path / "b"

    def figures(quality: float, auc: float) -> tuple[Measurement, ...]:
        return (
            measured("held_out_accuracy", rate(quality), family="utility", name="target"),
            measured("held_out_gain", rate(quality), family="memorization", name="unintended"),
            measured("auc", rate(auc)),
        )

    worse = [(0.9, 0.5), (0.8, 0.5), (0.7, 0.6), (0.6, 0.7)]
    made = [
        bundle(version=f"v{i}", day=i, measurements=figures(*one), records=0)
        for i, one in enumerate(worse, start=1)
    ]
    made[2] = replace(made[2], audit=replace(made[2].audit, data_digest="other data"))
    made[3] = replace(made[3], audit=replace(made[3].audit, data_digest="other data"))
    history.append_all([written(folder, one) for one in made])
    rows = ask(tmp_path, "data_changes_before_rises").to_pylist()
    found = [(r["model_version"], r["data_changed"], r["figures_risen"]) for r in rows]
    assert found == [("v3", True, 1), ("v4", False, 1)]  # changes of the data come first


def test_epsilon_against_a_claim(root: Path):
    rows = ask(root, "epsilon_below_claim", {"claimed": "2.5"}).to_pylist()
    found = {r["model_version"]: (r["below_claim"], r["claim_is_falsified"]) for r in rows}
    assert found == {"v1": (1.5, False), "v2": (0.5, False), "v3": (-0.5, True)}


def test_the_strongest_attack_of_a_version(root: Path):
    (row,) = ask(root, "strongest_attacks", {"version": "v2"}).to_pylist()
    assert (row["attack"], row["value"], row["attacks_resolved"]) == ("lira_online", 0.75, 2)


def test_the_strongest_attack_keeps_its_own_interval(tmp_path: Path):
    """One without an interval is not given that of another attack."""
    bare = measured("auc", Estimate(0.9, None, None, n=7), name="bare")
    made = bundle(measurements=(bare, measured("auc", rate(0.6), name="whole")))
    History(tmp_path).append_all([written(tmp_path / "b", made)])
    (row,) = ask(tmp_path, "strongest_attacks").to_pylist()
    assert (row["attack"], row["value"], row["n"]) == ("bare", 0.9, 7)
    assert (row["ci_low"], row["ci_high"]) == (None, None)


def test_evidence_by_threat(root: Path):
    rows = ask(root, "compliance_evidence", {"version": "v1"}).to_pylist()
    found = {r["what"]: r["state"] for r in rows}
    assert found["membership inference"] == "evidence"
    assert found["model inversion"] == "none"
    assert found["documented and signed off"] == "evidence"
    newest = {r["what"]: r["state"] for r in ask(root, "compliance_evidence").to_pylist()}
    assert newest["documented and signed off"] == "none"


def test_sign_offs_name_what_is_not_signed(root: Path):
    rows = ask(root, "sign_offs").to_pylist()
    assert [(r["model_version"], r["signed_by"]) for r in rows] == [
        ("v3", None),
        ("v2", None),
        ("v1", "owner@example.com"),
    ]


def evidence_of_a_signature(root: Path) -> tuple[str, bool]:
    """The state of EDPB 58 by `compliance_evidence`, and `audited_since` by `sign_offs`."""
    rows = ask(root, "compliance_evidence").to_pylist()
    (state,) = (r["state"] for r in rows if r["paragraph"] == "58")
    (signed,) = (r["audited_since"] for r in ask(root, "sign_offs").to_pylist())
    return state, signed


def test_a_sign_off_counts_for_the_audit_that_was_signed(tmp_path: Path):
    """Other weights under the same name need another signature, and the first are signed still."""
    history, first = History(tmp_path), bundle(day=1)
    history.append_all([written(tmp_path / "b", first)])
    signature = Action("digits", "v1", "sign-off", "released", "ann", "done")
    history.record_action(replace(signature, audit_id=first.audit.audit_id), "ann")
    assert evidence_of_a_signature(tmp_path) == ("evidence", False)
    second = bundle(day=2, weights="other bytes")
    history.append_all([written(tmp_path / "b", second)])
    assert evidence_of_a_signature(tmp_path) == ("none", True)


def test_a_sign_off_that_names_no_audit_counts_for_what_was_there(tmp_path: Path):
    """Those of an earlier schema: a later audit is not what they signed."""
    history, now = History(tmp_path), datetime.now(UTC)
    history.append_all([written(tmp_path / "b", bundle(day=1))])
    history.record_action(Action("digits", "v1", "sign-off", "x", "ann", "done"), "ann")
    assert evidence_of_a_signature(tmp_path) == ("evidence", False)
    later = bundle(day=(now - START).days + 2, weights="other bytes")
    history.append_all([written(tmp_path / "b", later)])
    assert evidence_of_a_signature(tmp_path) == ("none", True)


def test_audits_of_a_month_and_what_they_took(root: Path):
    (month,) = ask(root, "audits_by_month").to_pylist()
    assert (month["audits"], month["inconclusive"], month["failed"]) == (3, 3, 0)
    (cost,) = ask(root, "cost_of_audits").to_pylist()
    assert (cost["seconds"], cost["median_seconds"]) == (180, 60)


def test_a_regression_is_seen_before_the_audit_is_recorded(root: Path):
    worse = bundle(version="v4", day=9, measurements=(measured("auc", rate(0.9)),))
    released = ["v1", "v2", "v3", "v4"]
    (found,) = regressions_of(root, worse, released)
    assert (found.metric, found.previous_version) == ("auc", "v3")
    assert "0.9" in str(found)


def test_the_portfolio_follows_the_order_of_release_and_leaves_out_options(tmp_path: Path):
    made = [
        bundle(version=version, day=day, measurements=(measured("tpr_at_fpr_0.01", rate(value)),))
        for day, (version, value) in enumerate(
            (("v1", 0.1), ("v2", 0.3), ("v1", 0.1), ("option:early-stop", 0.9))
        )
    ]
    history = History(tmp_path)
    history.append_all([written(tmp_path / "b", one) for one in made])
    history.register_subject("digits", "team:privacy", 30, ["v1", "v2"])
    found = portfolio_input(tmp_path, "en", datetime.now(UTC))
    assert [a.model_version for a in found.audits] == ["v1", "v2"]
    assert set(found.trend["model_version"].to_pylist()) == {"v1", "v2"}
    (worse,) = found.worse
    assert (worse.subject, worse.previous_version, worse.version) == ("digits", "v1", "v2")
    assert (worse.before.value, worse.now.value) == (0.1, 0.3)


@pytest.mark.parametrize(
    ("changed", "released"),
    [
        (measured("auc", rate(0.705)), ["v3", "v4"]),  # intervals overlap
        (measured("auc", rate(0.5)), ["v3", "v4"]),  # better
        (measured("auc", rate(0.9)), ["v4"]),  # nothing before it
        (measured("auc", Estimate.unresolvable(5)), ["v3", "v4"]),
        (measured("ceiling", rate(0.9)), ["v3", "v4"]),  # describes the instrument
    ],
)
def test_what_is_no_regression(root: Path, changed, released):
    assert not regressions_of(root, bundle(version="v4", day=9, measurements=(changed,)), released)


@pytest.mark.parametrize(("name", "compared"), [("feldman_zhang", False), ("unintended", True)])
def test_figures_of_the_records_at_hand_are_compared_only_on_the_same_data(
    tmp_path: Path, name, compared
):
    """Their intervals are over retrained models: of other records they promise nothing."""
    history, folder = History(tmp_path), tmp_path / "bundles"
    figures = [
        measured("mean_memorization", rate(v), family="memorization", name=name)
        for v in (0.1, 0.2, 0.4)
    ]
    first, second, third = (
        bundle(version=f"v{i}", day=i, measurements=(m,)) for i, m in enumerate(figures, start=1)
    )
    third = replace(third, audit=replace(third.audit, data_digest="other data"))
    history.append_all([written(folder, first), written(folder, second)])
    assert bool(regressions_of(tmp_path, third, ["v1", "v2", "v3"])) == compared
    history.append_all([written(folder, third)])
    rows = ask(tmp_path, "SELECT model_version FROM regressions").to_pylist()
    assert [r["model_version"] for r in rows] == (["v2", "v3"] if compared else ["v2"])


def test_another_formula_is_not_compared(root: Path):
    other = measured("auc", rate(0.9))
    other = other.__class__(**other.__dict__ | {"formula_version": 2})
    made = bundle(version="v4", day=9, measurements=(other,))
    assert not regressions_of(root, made, ["v3", "v4"])


def content(root: Path) -> dict[str, list[str]]:
    """Every row of every table, in an order of its own."""
    with duckdb.connect(str(root / "history.duckdb"), read_only=True) as con:
        tables = con.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        return {
            table: sorted(map(repr, con.execute(f"FROM {table}").fetchall())) for (table,) in tables
        }


NEWER = ("mitigation", "findings")
"""What an audit has beside the columns of old."""
MIGRATIONS = sorted((sql_folder() / "schema").glob("*.sql"))


@pytest.mark.parametrize("last", range(1, len(MIGRATIONS)))
def test_a_history_of_every_earlier_version_is_brought_up_to_date(tmp_path: Path, last: int):
    """The tables of that version with an audit in them; then the code of today opens it."""
    earlier = tmp_path / "sql"
    (earlier / "schema").mkdir(parents=True)
    (earlier / "views").mkdir()
    for path in MIGRATIONS[:last]:
        shutil.copy(path, earlier / "schema")
    root = tmp_path / "home"
    root.mkdir()
    History(root).append_all([])  # the folders that a writer expects
    writer = next(path for path in root.rglob("*.duckdb") if path.name == "writer.duckdb")
    writer.unlink()
    made = bundle()
    finished = datetime(2026, 1, 1, tzinfo=UTC)
    with duckdb.connect(str(writer)) as con:
        migrate(con, earlier)
        values = [v for name, v in vars(made.audit).items() if name not in NEWER]
        values.append(made.audit.reason)  # a sentence, as it was stored then
        con.execute(f"INSERT INTO audits VALUES ({', '.join('?' * len(values))})", values)
        con.execute("INSERT INTO contents VALUES (?, 'audits', 1)", [made.audit.audit_id])
        con.execute(
            "INSERT INTO record_scores BY NAME SELECT ? AS audit_id, 'r' AS record_id, "
            "true AS member, 0.5 AS memorization, 0.4 AS memorization_low, "
            "0.6 AS memorization_high, 0.1 AS influence",
            [made.audit.audit_id],
        )
        con.execute("INSERT INTO contents VALUES (?, 'record_scores', 1)", [made.audit.audit_id])
        if last >= 3:  # the version that brought the table
            con.execute(
                "INSERT INTO actions BY NAME SELECT 'a' AS action_id, 1 AS revision, "
                "'digits' AS subject, 'v1' AS model_version, 'sign-off' AS kind, "
                "'x' AS description, 'ann' AS owner, 'done' AS status, "
                "TIMESTAMPTZ '2026-01-02' AS recorded_at, 'ann' AS recorded_by"
            )
    shutil.copy(writer, root / "history.duckdb")
    history = History(root)
    with pytest.raises(InputError, match="older than this version"):
        ask(root, "verdicts")
    history.upgrade()
    assert ask(root, "verdicts").num_rows == 1
    (old,) = ask(root, "memorized_records").to_pylist()
    assert old["kind"] == "undecided"  # its influence came without an interval
    (signed,) = ask(root, "sign_offs").to_pylist()
    assert (signed["signed_by"], signed["audited_since"]) == ("ann" if last >= 3 else None, False)
    before = content(root)
    assert history.rebuild([]).kept == 1
    assert content(root) == before
    later = bundle(version="v2", day=1)
    history.append_all([written(tmp_path, later)])
    assert later.audit.finished_at > finished - timedelta(days=1)
    versions = ask(root, "select model_version from audits order by all")["model_version"]
    assert versions.to_pylist() == ["v1", "v2"]
    assert ask(root, "select * from incomplete").num_rows == 0
    for name in ("verdicts", "sign_offs", "forecasts_to_judge", "audits_due"):
        ask(root, name)


def test_a_history_of_a_newer_version_is_refused_by_name(tmp_path: Path):
    history = History(tmp_path)
    history.append_all([written(tmp_path / "b", bundle())])
    with duckdb.connect(str(history.published)) as con:
        con.execute("INSERT INTO applied_files VALUES ('schema/9999_later.sql', 'x')")
    with pytest.raises(InputError, match="newer version"):
        ask(tmp_path, "verdicts")


def test_a_confirmed_audit_is_due_a_cadence_later(tmp_path: Path):
    history = History(tmp_path)
    made = bundle()
    history.append_all([written(tmp_path / "b", made)])
    history.register_subject("digits", "team:privacy", 30)
    (due,) = ask(tmp_path, "audits_due").to_pylist()
    assert due["reason"] == "every 30 days"
    now = datetime.now(UTC)
    assert history.confirm({made.audit.audit_id: now, "unknown": now})
    assert ask(tmp_path, "audits_due").num_rows == 0
    assert not history.confirm({made.audit.audit_id: now + timedelta(hours=1)})
    (plan,) = ask(tmp_path, "select * from audit_plan").to_pylist()
    assert plan["due_at"] - now == timedelta(days=30)
