"""What an audit is worth: published check values, and the cadence against a simulation of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from memory_assets.risk.distribution import Beta
from memory_assets.risk.plan import (
    Choices,
    Control,
    Depth,
    best_rounds,
    cadence,
    depth_value,
    plan_audits,
)

CONTROL = Choices((Control("filter", efficacy=0.8, cost=6e6),))
PLAN = {
    "fixed_cost": 1e5,
    "cost_per_probe": 100.0,
    "triage_cost": 1e5,
    "false_alarm": 0.05,
    "material_rate": 0.02,
    "hazard": 0.3,
    "releases": 4.0,
}


@pytest.mark.parametrize(
    ("probes", "evsi"), [(30, 0), (100, 0.99e6), (300, 1.37e6), (1000, 1.64e6)]
)
def test_the_worth_of_depth(probes, evsi):
    worth = depth_value(Beta(a=1, b=99), 1e9, CONTROL, probes)
    assert worth.evsi == pytest.approx(evsi, abs=0.006e6)
    assert worth.evpi == pytest.approx(1.77e6, abs=0.006e6)


def test_the_worth_of_the_truth_by_numerical_integration():
    prior = Beta(a=0.7, b=60.0)
    choices = Choices((Control("a", 0.5, 2e6), Control("b", 0.9, 5e6), Control("c", 1.0, 30e6)))
    density = stats.beta(prior.a, prior.b).pdf

    def least(p: float) -> float:
        return float(choices.least(1e9 * p)) * float(density(p))

    edges = [1e-12, 1e-6, 1e-4, 0.001, 0.004, 0.0075, 0.02, 0.05, 0.1, 0.25, 1.0]
    numeric = sum(integrate.quad(least, lo, hi)[0] for lo, hi in pairwise(edges))
    assert choices.least_if_known(prior, 1e9) == pytest.approx(numeric, rel=1e-4)


@given(
    a=st.floats(0.3, 5),
    b=st.floats(5, 500),
    slope=st.floats(1e3, 1e10),
    efficacy=st.floats(0, 1),
    cost=st.floats(0, 1e8),
)
def test_deeper_is_never_worth_less_and_never_more_than_the_truth(a, b, slope, efficacy, cost):
    prior, choices = Beta(a=a, b=b), Choices((Control("x", efficacy, cost),))
    worths = [depth_value(prior, slope, choices, n) for n in (5, 20, 80)]
    slack = 1e-6 * slope
    evsi = [w.evsi for w in worths]
    assert all(x >= 0 for x in evsi)
    assert evsi[0] <= evsi[1] + slack <= evsi[2] + 2 * slack
    assert evsi[2] <= worths[0].evpi + slack


def _simulated_cost(every, cost, loss_rate, hazard, waits, misses):
    """Cost a year of auditing every so often: a leak arises, and audits find it sooner or later."""
    starts = waits / hazard
    found = (np.ceil(starts / every) + misses) * every
    return cost / every + loss_rate * (found - starts).mean() / found.mean()


@pytest.mark.parametrize("sensitivity", [0.5, 0.8, 1.0])
def test_the_cadence_is_that_of_a_simulation(sensitivity):
    cost, hazard, loss_rate = 1.0, 0.08, 60.0
    best = cadence(cost, loss_rate, hazard, sensitivity)
    assert best is not None
    rng = np.random.default_rng(0)
    waits = rng.standard_exponential(300_000)
    misses = rng.geometric(sensitivity, 300_000) - 1
    grid = best * np.geomspace(0.6, 1.7, 23)
    costs = [_simulated_cost(t, cost, loss_rate, hazard, waits, misses) for t in grid]
    # The valley is flat: its bottom is that of a smooth curve through all points.
    valley = np.polynomial.Polynomial.fit(np.log(grid / best), costs, 4)
    fine = np.linspace(np.log(0.6), np.log(1.7), 2001)
    assert np.exp(fine[valley(fine).argmin()]) == pytest.approx(1, abs=0.1)


def test_a_cadence_needs_something_to_save():
    assert cadence(1.0, 0.0, 0.3, 0.9) is None
    assert cadence(1.0, 10.0, 0.0, 0.9) is None


def test_the_plan_picks_the_depth_that_pays():
    plan = plan_audits(Beta(a=1, b=99), 1e9, CONTROL, **PLAN)
    nets = {d.probes: d.evsi - d.cost for d in plan.depths}
    assert plan.depth == max(nets, key=nets.__getitem__)
    assert plan.depth > 0
    # At 1% expected the control is bought already, and it is best at 2% too: no alarm changes it.
    assert (plan.best_today, plan.best_if_leaking, plan.between) == ("filter", "filter", None)


def test_an_alarm_that_would_change_the_choice_sets_the_cadence():
    plan = plan_audits(Beta(a=0.5, b=300), 1e9, CONTROL, **PLAN)
    assert (plan.best_today, plan.best_if_leaking) == ("none", "filter")
    between = plan.between
    assert between is not None
    seen = 1 - 0.98**between.probes
    assert between.sensitivity == pytest.approx(seen)
    by_hand = cadence(1e5 + 100 * between.probes + 0.05 * 1e5, 0.8 * 20e6 - 6e6, 0.3, seen)
    assert between.years == pytest.approx(by_hand)
    assert plan.audits_per_release == pytest.approx(max(1 / (4 * between.years), plan.depth > 0))


@settings(max_examples=50)
@given(
    fixed=st.floats(1e2, 1e6),
    probe=st.floats(0.01, 1e3),
    loss_rate=st.floats(1e5, 1e9),
    hazard=st.floats(0.01, 2),
    material=st.floats(1e-3, 0.2),
)
def test_depth_and_cadence_are_the_cheapest_of_all_pairs(fixed, probe, loss_rate, hazard, material):
    depths = [Depth(n, 0.0, fixed + n * probe) for n in (10, 30, 100, 300, 1000, 3000)]
    years = np.geomspace(1e-6, 1e4, 20_001)
    seen = np.array([1 - (1 - material) ** d.probes for d in depths])[:, None]
    price = np.array([d.cost + 50.0 for d in depths])[:, None]
    costs = price / years + loss_rate * hazard * years * (1 / seen - 0.5)
    best = best_rounds(
        depths, alarm_cost=50.0, loss_rate=loss_rate, hazard=hazard, material_rate=material
    )
    if best is None:
        assert costs.min() >= loss_rate * (1 - 1e-6)
        return
    assert best.cost == pytest.approx(costs.min(), rel=1e-5)
    row = next(i for i, d in enumerate(depths) if d.probes == best.probes)
    assert costs[row].min() == pytest.approx(costs.min(), rel=1e-5)
    assert best.years == pytest.approx(years[costs[row].argmin()], rel=0.01)


def test_no_depth_that_pays_does_not_make_the_cheapest_one_the_cadence():
    """A clean audit of 3,000 probes: every depth has a negative net, the least at 10 probes."""
    plan = plan_audits(
        Beta(a=0.5, b=1500.5),
        5e7,
        Choices((Control("filter", 0.8, 2e5),)),
        **{**PLAN, "fixed_cost": 1e3, "cost_per_probe": 0.05, "triage_cost": 2e3},
    )
    assert plan.depth == 0
    assert max(plan.depths, key=lambda d: d.net).probes == 10
    assert plan.between is not None
    assert plan.between.probes == 300
    # Ten probes miss most leaks and would have to be asked so often that it costs twice as much.
    seen = 1 - 0.98**10
    often = cadence(1e3 + 0.5 + 100, 0.8 * 1e6 - 2e5, 0.3, seen)
    assert often is not None
    assert 2 * 1100.5 / often > 2 * plan.between.cost


def test_nothing_to_do_makes_an_audit_worthless():
    plan = plan_audits(Beta(a=1, b=99), 1e9, Choices(()), **PLAN)
    assert plan.depth == 0
    assert plan.evpi == 0
    assert plan.between is None
    assert plan.audits_per_release == 0
    assert "Nothing to do" in plan.reason


def test_too_few_probes_cannot_change_the_decision():
    plan = plan_audits(Beta(a=1, b=99), 1e9, CONTROL, **PLAN)
    assert [d.evsi for d in plan.depths if d.probes < 30] == [0]
    assert next(d for d in plan.depths if d.probes == 100).evsi > 0


def test_what_the_leak_rate_does_not_move_is_worth_no_probe():
    """Membership costs 5M under either choice: knowing the extraction rate saves nothing of it."""
    prior = Beta(a=1, b=99)
    alone = depth_value(prior, 1e9, CONTROL, 1000)
    beside = Choices((Control("filter", efficacy=0.8, cost=11e6),), kept=5e6)
    both = depth_value(prior, 1e9, beside, 1000)
    assert (both.evsi, both.evpi) == pytest.approx((alone.evsi, alone.evpi))
    assert float(beside.least(0.0)) == 5e6
