"""What an answer shows beside a figure, so that it is not compared with the wrong thing."""

from __future__ import annotations

from pathlib import Path

import pytest
from history_bundles import bundle, written
from test_store import NOW, Estimated

from memory_assets.history.bundle import AuditBundle
from memory_assets.history.money import RiskRun, write_risk
from memory_assets.history.questions import ask
from memory_assets.history.store import History
from memory_assets.reports.coverage import covered_threats
from memory_assets.reports.inputs import ReportInput
from memory_assets.results.estimate import Estimate, Measurement

pytestmark = pytest.mark.slow

FAMILIES = (
    "membership",
    "memorization",
    "information",
    "epsilon",
    "utility",
    "gate",
    "extraction",
    "exposure",
)


def nats(name: str, metric: str, value: float) -> Measurement:
    return Measurement("epsilon", name, metric, "nats", Estimate(value, None, None, n=9), 2)


def test_a_bound_of_an_option_stands_beside_the_epsilon_that_it_is_held_against(tmp_path: Path):
    """It replaces a record: more is granted for that than for adding or removing one."""
    rows = (
        nats("accountant", "accountant_epsilon", 3.0),
        nats("accountant", "replace_one_epsilon", 6.5),
        nats("all attacks", "epsilon", 4.0),
    )
    made = bundle(version="option:dp", measurements=rows)
    History(tmp_path).append_all([written(tmp_path / "b", made)])
    found = ask(tmp_path, "compare_options").to_pylist()
    assert {r["metric"]: r["value"] for r in found} == {m.metric: m.estimate.value for m in rows}


@pytest.mark.parametrize("depth", [None, 0, 300])
def test_what_is_due_shows_the_depth_that_its_price_advises(tmp_path: Path, depth: int | None):
    history, made = History(tmp_path), bundle()
    history.append_all([written(tmp_path / "b", made)])
    history.register_subject("digits", "team:x", 1)
    history.register_subject("never", "team:x", 1)
    if depth is not None:
        run = RiskRun("risk-1", made.audit.audit_id, "retail-eu", "p" * 64, "0.1.0", NOW)
        advised = Estimated("none", "audit_depth", "count", depth, None, None, "assumed")
        (tmp_path / "risk").mkdir()
        write_risk(tmp_path / "risk", run, [advised])
        history.append_all([tmp_path / "risk"])
    found = ask(tmp_path, "audits_due").to_pylist()
    assert {r["subject"]: r["advised_probes"] for r in found} == {"digits": depth, "never": None}


def by_the_history(root: Path, made: AuditBundle) -> dict[str, bool]:
    History(root).append_all([written(root / "b", made)])
    rows = ask(root, "compliance_evidence").to_pylist()
    return {r["what"].lower(): r["state"] == "evidence" for r in rows if r["paragraph"] == "55"}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_history_and_the_report_know_the_same_threats_to_be_measured(
    tmp_path: Path, family: str
):
    """Two lists say which instruments speak to which threat: one in SQL, one of the report."""
    figure = Measurement(family, "x", "auc", "probability", Estimate(0.5, 0.4, 0.6, n=9), 1)
    made = bundle(measurements=(figure,))
    covered, uncovered = covered_threats(ReportInput(made))
    said = dict.fromkeys(covered, True) | dict.fromkeys(uncovered, False)
    found = by_the_history(tmp_path, made)
    # The history says "model inversion" where the report's key is "inversion".
    assert {word: found[what] for word in said for what in found if word in what.split()} == said
    assert len(found) == len(said)


def test_what_was_not_run_is_no_evidence(tmp_path: Path):
    figure = Measurement("extraction", "x", "rate", "probability", Estimate.not_run(), 1)
    made = bundle(measurements=(figure,))
    assert not any(by_the_history(tmp_path, made).values())
    assert covered_threats(ReportInput(made))[0] == []
