"""Present values, payback, break-even and the frontier, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from memory_assets.risk.returns import (
    annuity,
    break_even_growth,
    break_even_queries,
    frontier,
    net_present_value,
    payback,
    rosi,
)


def test_an_annuity_has_its_closed_form():
    assert annuity(0.05, 10) == pytest.approx((1 - 1.05**-10) / 0.05)
    assert annuity(0.0, 4) == 4


def test_present_value_by_hand():
    flows = np.array([[110.0, 0.0], [121.0, 242.0]])
    np.testing.assert_allclose(net_present_value(flows, np.array([50.0, 250.0]), 0.1), [150, -50])


def test_rosi_and_payback():
    assert rosi(300.0, 100.0) == 2
    assert rosi(300.0, 0.0) is None
    assert payback(90.0, 30.0) == 3
    assert payback(90.0, 0.0) is None


def test_break_even_queries_balance_cost_and_saving():
    queries = break_even_queries(5000.0, 0.01, 0.002, 0.5, 0.1, 0.8, 1e6)
    assert queries is not None
    assert queries * 0.01 * 0.002 * 0.5 * 0.1 * 0.8 * 1e6 == pytest.approx(5000)
    assert break_even_queries(5000.0, 0.01, 0.0, 0.5, 0.1, 0.8, 1e6) is None


def test_break_even_growth_balances_value_and_loss():
    rate, loss, releases = np.array([0.1, 0.3]), np.array([100.0, 50.0]), 4.0
    growth = break_even_growth(rate, loss, releases, 60.0)
    assert growth is not None
    visible = -releases * np.log1p(-rate / releases)
    grown = releases * (1 - np.exp(-growth * visible / releases))
    assert (grown * loss).mean() == pytest.approx(60)
    assert growth > 1


@pytest.mark.parametrize("value", [-1.0, 0.0, 301.0])
def test_no_growth_meets_a_value_beyond_reach(value):
    # Four incidents a year of 75 on average are the most there can be: 300.
    found = break_even_growth(np.array([0.1, 0.3]), np.array([100.0, 50.0]), 4.0, value)
    assert found is None


def test_a_dominated_option_is_off_the_frontier():
    points = [
        ("none", 0.01, 100.0, 0.0),
        ("filter", 0.003, 100.0, 5.0),
        ("worse filter", 0.004, 100.0, 6.0),
        ("dp", 0.001, 80.0, 9.0),
    ]
    efficient = {p.option: p.efficient for p in frontier(points)}
    assert efficient == {"none": True, "filter": True, "worse filter": False, "dp": True}


def test_twins_are_both_on_the_frontier():
    assert all(p.efficient for p in frontier([("a", 0.1, None, 1.0), ("b", 0.1, None, 1.0)]))
