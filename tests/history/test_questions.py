"""The views and the shipped questions against answers worked out by hand."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from history_bundles import START, bundle, measured, rate, written

from memory_assets.errors import InputError
from memory_assets.history.bundle import AuditBundle
from memory_assets.history.questions import ask, questions, to_csv, to_json, trend
from memory_assets.history.store import History
from memory_assets.results.estimate import Control, Estimate
from memory_assets.results.findings import legacy
from memory_assets.results.record_scores import RECORD_SCORES

Answer = Callable[..., list[dict[str, Any]]]


def record(
    name: str, member: bool, attack: str, score: float, low: float, gain: float, kind: str
) -> dict:
    return {
        "record_id": name,
        "member": member,
        "attack": attack,
        "score": score,
        "memorization": low + 0.1,
        "memorization_low": low,
        "memorization_high": low + 0.2,
        "influence": gain,
        "kind": kind,
    }


def scored(made: AuditBundle, *rows: dict) -> AuditBundle:
    table = [{"audit_id": made.audit.audit_id, **row} for row in rows]
    return replace(made, record_scores=pa.Table.from_pylist(table, schema=RECORD_SCORES))


# Five members: one pays, one only leaks, one is not memorized, two cannot be told: the last is
# memorized beyond doubt and its influence is above zero, but not beyond its interval.
RECORDS = (
    ("pays", True, 0.5, 0.02, "useful memorization"),
    ("leaks", True, 0.4, 0.0, "pure leakage"),
    ("plain", True, 0.0, 0.5, "generalized"),
    ("unsure", True, 0.2, 0.5, "undecided"),
    ("perhaps", True, 0.3, 0.01, "undecided"),
    ("outside", False, 0.9, 0.9, "useful memorization"),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions: v2 leaks more than v1 beyond both intervals, v3 a little less than v2."""
    root = tmp_path_factory.mktemp("home")
    failed = Control("negative_control", False, 0.7, 0.6, 0.8, legacy("the instrument sees ghosts"))
    utility = {"family": "utility", "name": "held_out"}
    v1 = bundle(
        version="v1",
        day=0,
        measurements=(
            measured("auc", rate(0.55)),
            measured("tpr_at_fpr_0.01", rate(0.05)),
            measured("held_out_accuracy", rate(0.90), **utility),
            measured("loss", rate(0.30), **utility),
            measured("auc", rate(0.55), name="only_in_v1"),
        ),
    )
    v2 = bundle(
        version="v2",
        day=1,
        measurements=(
            measured("auc", rate(0.75)),
            measured("tpr_at_fpr_0.01", rate(0.06)),
            measured("held_out_accuracy", rate(0.80), **utility),
            measured("loss", rate(0.10), **utility),
            measured("fpr_achieved_at_0.01", rate(0.9)),
        ),
    )
    v3 = bundle(
        version="v3",
        day=2,
        controls=(failed,),
        measurements=(
            measured("auc", rate(0.70)),
            replace(measured("tpr_at_fpr_0.01", rate(0.5)), formula_version=2),
            measured("tpr_at_fpr_0.001", Estimate.unresolvable(200)),
            measured("auc", Estimate.not_run(), name="quantile"),
        ),
    )
    v3 = scored(
        v3,
        *(record(n, m, "loss", float(i), *rest) for i, (n, m, *rest) in enumerate(RECORDS)),
        *(record(n, m, "base", float(-i), *rest) for i, (n, m, *rest) in enumerate(RECORDS)),
    )
    late = bundle(subject="late", day=5)
    History(root).append_all([written(root / "b", made) for made in (v3, v1, late, v2)])
    return root


@pytest.fixture
def answer(root: Path) -> Answer:
    return lambda name, **parameters: ask(root, name, parameters).to_pylist()


def test_every_question_says_what_it_answers_and_runs(root: Path) -> None:
    shipped = questions()
    assert len(shipped) >= 25
    for question in shipped:
        assert "?" in question.text
        assert question.text.endswith(("?", "."))
        assert "$" not in question.text + question.note
        assert all(question.parameters.values())
        ask(root, question.name)
        table = ask(root, question.name, dict.fromkeys(question.parameters))
        given = {"records": "1", "threshold": "0.5"}
        ask(root, question.name, {p: given.get(p, "x'y") for p in question.parameters})
        assert table.schema.names


@pytest.mark.parametrize("end", ["", ";", " ; -- done", " -- done", ";\n-- one\n-- two\n"])
def test_the_first_rows_of_an_answer(root: Path, end: str) -> None:
    table = ask(root, f"SELECT range AS i FROM range(9) ORDER BY i DESC{end}", most=2)
    assert table["i"].to_pylist() == [8, 7]
    assert ask(root, f"SELECT 1 AS i{end}", most=5).num_rows == 1


def test_latest_is_the_newest_version_of_each_subject(answer: Answer) -> None:
    latest = answer("SELECT subject, model_version, version_number FROM latest ORDER BY subject")
    assert [tuple(r.values()) for r in latest] == [("digits", "v3", 3), ("late", "v1", 1)]


def test_what_got_worse(answer: Answer) -> None:
    worse = {(r["family"], r["metric"]) for r in answer("what_got_worse", version="v2")}
    # AUC rose and accuracy fell beyond both intervals; the true positive rate rose within them,
    # the loss fell, and an achieved false positive rate says nothing of the model.
    assert worse == {("membership", "auc"), ("utility", "held_out_accuracy")}
    assert answer("what_got_worse") == []
    (auc,) = [r for r in answer("what_got_worse", version="v2") if r["metric"] == "auc"]
    assert auc["difference"] == 0.75 - 0.55
    assert (auc["previous_version"], auc["previous_ci_high"]) == ("v1", 0.55 + 0.01)


def test_changes_compare_only_equal_formulas(answer: Answer) -> None:
    found = answer("SELECT metric, change FROM changes WHERE model_version = 'v3'")
    assert found == [{"metric": "auc", "change": "better"}]


BAD_NEWS = {
    "tpr_at_fpr_0.001": "higher",
    "fpr_at_shadow_threshold_0.001": None,
    "tpr_at_shadow_threshold_0.01": None,
    "ppv_at_shadow_threshold_0.01": None,
    "jaccard_of_exposed": None,
    "mean_memorization": "higher",
    "share_above_0.25": "higher",
    "share_pure_leakage": "higher",
    "share_useful_memorization": None,
    "out_accuracy": None,
    "held_out_gain": "lower",
    "bound": "higher",
    "bound_null": None,
    "clopper_pearson_ceiling": None,
    "held_out_accuracy": "lower",
    "member_accuracy": None,
}
"""On which side two models are compared by a figure; None where they are not."""


def test_what_is_bad_news(tmp_path: Path) -> None:
    rows = tuple(measured(metric, rate(0.5)) for metric in BAD_NEWS)
    History(tmp_path).append_all([written(tmp_path / "b", bundle(measurements=rows))])
    found = ask(tmp_path, "SELECT metric, worse FROM figures").to_pylist()
    assert {row["metric"]: row["worse"] for row in found} == BAD_NEWS


def test_touching_intervals_are_no_change(tmp_path: Path) -> None:
    first = Estimate(0.5, 0.4, 0.6, n=10)
    touching = Estimate(0.7, 0.6, 0.8, n=10)
    History(tmp_path).append_all(
        written(tmp_path / "b", bundle(version=f"v{i}", day=i, measurements=(measured("auc", e),)))
        for i, e in enumerate((first, touching))
    )
    assert ask(tmp_path, "FROM changes")["change"].to_pylist() == ["not distinguishable"]


def test_leakage_by_version_is_in_order_and_leaves_out_utility(root: Path, answer: Answer) -> None:
    found = answer("leakage_by_version", subject="digits", metric="auc")
    lira = [(r["model_version"], r["value"]) for r in found if r["attack"] == "lira_online"]
    assert lira == [("v1", 0.55), ("v2", 0.75), ("v3", 0.70)]
    table = trend(root, "digits")
    assert set(table["family"].to_pylist()) == {"membership"}
    assert set(table["subject"].to_pylist()) == {"digits"}


def test_the_order_of_release_wins_over_the_order_of_audits(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append_all(
        written(tmp_path / "b", bundle(version=version, day=day))
        for day, version in enumerate(("v3", "v1", "v2", "v3"))
    )
    order = "SELECT model_version FROM versions ORDER BY version_number"
    assert ask(tmp_path, order)["model_version"].to_pylist() == ["v3", "v1", "v2"]
    assert history.register_subject("digits", "team:x", 30, ["v1", "v2"])
    assert history.register_subject("digits", "team:x", 30, ["v2", "v3", "v4"])
    assert not history.register_subject("digits", "team:x", 30, ["v2", "v3", "v4"])
    assert not history.register_subject("digits", "team:x", 30)
    assert ask(tmp_path, order)["model_version"].to_pylist() == ["v1", "v2", "v3"]
    (latest,) = ask(tmp_path, "SELECT model_version, finished_at FROM latest").to_pylist()
    assert latest["model_version"] == "v3"
    assert latest["finished_at"] == START.replace(day=4)


def test_audits_due(tmp_path: Path) -> None:
    history = History(tmp_path)
    today = (datetime.now(UTC) - START).total_seconds() / 86_400
    made = [
        bundle("fresh", day=today - 9.5),
        bundle("late", day=today - 12.5),
        bundle("new-version", day=today - 1),
    ]
    history.append_all(written(tmp_path / "b", b) for b in made)
    for subject in ("fresh", "late", "never"):
        history.register_subject(subject, "team:x", 10)
    history.register_subject("new-version", "team:x", 10, ["v1", "v2"])
    due = {r["subject"]: r for r in ask(tmp_path, "audits_due").to_pylist()}
    assert {name: r["reason"] for name, r in due.items()} == {
        "late": "every 10 days",
        "never": "never audited",
        "new-version": "no audit of version v2",
    }
    assert due["late"]["days_late"] in (2, 3)
    assert ask(tmp_path, "FROM audit_plan").num_rows == 4
    with pytest.raises(InputError, match="cadence of late"):
        history.register_subject("late", "team:x", 0)


def test_failed_controls(answer: Answer) -> None:
    (failed,) = answer("failed_controls")
    assert (failed["model_version"], failed["control"]) == ("v3", "negative_control")
    assert answer("failed_controls", version="v2") == []


def test_kinds_of_memorization(answer: Answer) -> None:
    found = answer("memorization_that_pays", subject="digits")
    assert {r["kind"]: (r["records"], r["share"]) for r in found} == {
        "useful memorization": (1, 0.2),
        "pure leakage": (1, 0.2),
        "generalized": (1, 0.2),
        "undecided": (2, 0.4),
    }
    found = answer("memorized_records", subject="digits")
    assert {r["record_id"]: r["kind"] for r in found} == {
        "pays": "useful memorization",
        "leaks": "pure leakage",
        "perhaps": "undecided",
    }
    assert answer("memorized_records", subject="digits", threshold=0.45)[0]["record_id"] == "pays"


def test_most_exposed_records_are_members_by_lower_bound(answer: Answer) -> None:
    found = answer("most_exposed_records", subject="digits", records="3")
    assert [r["record_id"] for r in found] == ["pays", "leaks", "perhaps"]


def test_attacks_that_rank_in_reverse_disagree_entirely(answer: Answer) -> None:
    (pair,) = answer("which_attacks_agree", subject="digits")
    assert (pair["attack"], pair["other_attack"], pair["records"]) == ("base", "loss", 6)
    assert pair["rank_correlation"] == pytest.approx(-1)
    assert pair["top_tenth_overlap"] == 0


def test_what_is_not_resolved_and_what_it_would_take(answer: Answer) -> None:
    found = answer("not_resolved", subject="digits")
    assert [(r["attack"], r["status"], r["n"], r["n_needed_at_least"]) for r in found] == [
        ("quantile", "not_run", 0, None),
        ("lira_online", "unresolvable", 200, 1000),
    ]


def test_how_it_was_made_and_formulas(answer: Answer) -> None:
    made = bundle(version="v1", day=0)
    (row,) = answer("how_was_it_made", subject="digits", version="v1")
    assert row["model_digest"] == made.audit.model_digest
    assert row["seconds"] == 60
    formulas = answer("formula_versions", subject="digits")
    versions = {(r["attack"], r["formula_version"]): r["audits"] for r in formulas}
    assert versions["lira_online", 1] == 3
    assert versions["lira_online", 2] == 1


def test_two_audits_compared(answer: Answer) -> None:
    (newest,) = answer("compare_audits")
    assert (newest["other_version"], newest["model_version"]) == ("v2", "v3")
    v1, v2 = (bundle(version=f"v{i + 1}", day=i).audit.audit_id for i in range(2))
    chosen = answer("compare_audits", audit=v2[:12], other=v1[:12])
    assert {r["metric"]: r["beyond_both_intervals"] for r in chosen} == {
        "held_out_accuracy": True,
        "auc": True,
        "loss": True,
        "tpr_at_fpr_0.01": False,
    }


@pytest.mark.parametrize(
    ("given", "compared"),
    [
        ({"audit": "v2"}, ("v1", "v2")),  # with the version before it
        ({"other": "v1"}, ("v1", "v3")),  # with the newest version of its subject
        ({"audit": "v3", "other": "v1"}, ("v1", "v3")),
        ({"audit": "v1"}, None),  # nothing before it
        ({"audit": "v2", "other": "none such"}, None),
        ({"other": "none such"}, None),
    ],
)
def test_either_side_of_a_comparison_may_be_left_out(answer: Answer, given, compared) -> None:
    ids = {f"v{i + 1}": bundle(version=f"v{i + 1}", day=i).audit.audit_id for i in range(3)}
    rows = answer("compare_audits", **{side: ids.get(v, v)[:12] for side, v in given.items()})
    found = {(r["other_version"], r["model_version"]) for r in rows}
    assert found == ({compared} if compared else set())


def test_of_audits_that_begin_alike_the_newest_is_compared(tmp_path: Path) -> None:
    made = [bundle(version=f"v{i}", day=i, records=0) for i in range(1, 4)]
    made = [replace(one, audit=replace(one.audit, audit_id=f"ab{i}")) for i, one in enumerate(made)]
    History(tmp_path).append_all([written(tmp_path / "b", one) for one in made])
    rows = ask(tmp_path, "compare_audits", {"audit": "ab", "other": "ab0"}).to_pylist()
    assert {(r["other_version"], r["model_version"]) for r in rows} == {("v1", "v3")}


def test_parameters_are_bound(answer: Answer) -> None:
    assert answer("verdicts", subject="' OR true --") == []
    assert len(answer("verdicts", subject="digits")) == 3


def test_unknown_names_and_parameters(root: Path) -> None:
    with pytest.raises(InputError, match="did you mean what_got_worse"):
        ask(root, "what-got-wors")
    with pytest.raises(InputError, match="there are audits_by_month, audits_due, compare_audits"):
        ask(root, "zzz")
    with pytest.raises(InputError, match="no parameter 'sbject'; it takes subject"):
        ask(root, "verdicts", {"sbject": "digits"})
    assert ask(root, "What-Got-Worse").num_rows == 0


def test_no_history_yet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="memory-assets audit"):
        ask(tmp_path, "verdicts")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "COPY audits TO '{out}'",
        "EXPORT DATABASE '{out}'",
        "ATTACH '{out}'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "DELETE FROM audits",
        "CREATE TABLE mine AS FROM audits",
        "SELECT 1; SELECT 2",
        "SELECT * FROM nowhere",
        "SELEC",
        "",
    ],
)
def test_free_sql_only_reads_the_history(root: Path, tmp_path: Path, sql: str) -> None:
    before = (root / "history.duckdb").read_bytes()
    with pytest.raises(InputError) as refused:
        ask(root, sql.format(out=tmp_path / "out"))
    assert "\n" not in str(refused.value)
    assert (root / "history.duckdb").read_bytes() == before
    assert not list(tmp_path.iterdir())


def test_json_and_csv_keep_every_digit(root: Path) -> None:
    numbers = [0.1 + 0.2, 1 / 3, 5e-324, 1e308, None]
    table = ask(root, "SELECT unnest($numbers) AS x, 'a,\"b\"' AS s", {"numbers": numbers})
    assert [r["x"] for r in json.loads(to_json(table))] == numbers
    read = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert [float(r["x"]) if r["x"] else None for r in read] == numbers
    assert {r["s"] for r in read} == {'a,"b"'}
    (latest,) = json.loads(to_json(ask(root, "SELECT finished_at FROM latest LIMIT 1")))
    assert datetime.fromisoformat(latest["finished_at"]).tzinfo is not None
