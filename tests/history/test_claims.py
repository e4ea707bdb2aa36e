"""A claimed epsilon held against the history, as the audit holds it against its own bounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from history_bundles import bundle, written

from memory_assets.history.questions import ask
from memory_assets.history.store import History
from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.results.findings import render
from memory_assets.results.formulas import BEST_EPSILON
from memory_assets.workflows.privacy_loss import check_claimed


def epsilon(metric: str, estimate: Estimate, name: str = "all attacks") -> Measurement:
    return Measurement("epsilon", name, metric, "nats", estimate, BEST_EPSILON.number)


CEILINGS = {"clopper_pearson": 4.2, "gaussian_dp": 9.9, "one_run": 3.3}


def bounds(together: Measurement) -> tuple[Measurement, ...]:
    """Every single bound of two attacks lies at 2.5, beside its own ceiling."""
    lower = Estimate(2.5, 2.5, None, n=100)
    found = [together, epsilon("epsilon_ceiling", Estimate(3.9, 3.9, 3.9, n=100))]
    for i, name in enumerate(("base", "loss")):
        for method, top in CEILINGS.items():
            ceiling = Estimate(top - i, top - i, top - i, n=100)
            found.append(epsilon(f"{method}_lower_bound", lower, name))
            found.append(epsilon(f"{method}_ceiling", ceiling, name))
    return tuple(found)


def test_only_the_bound_of_all_attacks_refutes_a_claim(tmp_path: Path):
    """Single ones are many, at another delta or of Gaussian noise only: the audit is open, too."""
    found = bounds(epsilon("epsilon", Estimate(1.5, 1.5, None, n=100)))
    History(tmp_path).append_all([written(tmp_path / "b", bundle(measurements=found))])
    rows = ask(tmp_path, "epsilon_below_claim", {"claimed": "2"}).to_pylist()
    assert [r["claim_is_falsified"] for r in rows if r["lower_bound"] > 2] == [None] * 6
    (own,) = [r for r in rows if r["metric"] == "epsilon"]
    assert own["claim_is_falsified"] is False
    checked = check_claimed(2.0, found)
    assert checked is not None
    assert checked.verdict == "not falsified"
    assert f"{own['most_this_sample_can_show']:.1f}" in render(checked.found)
    # One method or attack alone could have shown 4; all together, at their level, could not.
    untested = check_claimed(4.0, found)
    assert untested is not None
    assert "was not put to a test" in render(untested.found)
    (own, *_) = ask(tmp_path, "epsilon_below_claim", {"claimed": "1"}).to_pylist()
    assert own["claim_is_falsified"] is True


def test_a_bound_stands_beside_the_ceiling_of_its_own_method(tmp_path: Path):
    found = bounds(epsilon("epsilon", Estimate(1.5, 1.5, None, n=100)))
    History(tmp_path).append_all([written(tmp_path / "b", bundle(measurements=found))])
    rows = ask(tmp_path, "epsilon_below_claim").to_pylist()
    tops = {(r["attack"], r["metric"]): r["most_this_sample_can_show"] for r in rows}
    of = {
        (name, f"{method}_lower_bound"): top - i
        for i, name in enumerate(("base", "loss"))
        for method, top in CEILINGS.items()
    }
    assert tops == of | {("all attacks", "epsilon"): 3.9}
    assert {r["claim_is_falsified"] for r in rows} == {None}


def test_a_bound_at_delta_0_refutes_no_claim_at_another(tmp_path: Path):
    older = replace(epsilon("epsilon", Estimate(5.0, 5.0, None, n=9)), formula_version=1)
    History(tmp_path).append_all([written(tmp_path / "b", bundle(measurements=(older,)))])
    (row,) = ask(tmp_path, "epsilon_below_claim", {"claimed": "1"}).to_pylist()
    assert (row["lower_bound"], row["claim_is_falsified"]) == (5.0, None)
