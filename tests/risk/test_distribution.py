"""Distributions against scipy, and the property that everything else leans on: monotone draws."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from memory_assets.errors import InputError
from memory_assets.risk import profile_file
from memory_assets.risk.distribution import (
    Beta,
    Distribution,
    Fixed,
    Lognormal,
    Pert,
    Poisson,
    Uniform,
    weakest,
)
from memory_assets.risk.reading import parse_profile

U = np.array([1e-6, 0.01, 0.05, 0.3, 0.5, 0.9, 0.95, 0.999, 1 - 1e-6])
EXAMPLES: list[tuple[Distribution, object]] = [
    (Uniform(low=2, high=5), stats.uniform(2, 3)),
    (Pert(low=1, mode=2, high=7), stats.beta(1 + 4 / 6, 1 + 20 / 6, loc=1, scale=6)),
    (Pert(low=0, mode=0, high=1), stats.beta(1, 5)),
    (Beta(a=0.5, b=300.5), stats.beta(0.5, 300.5)),
    (Beta(a=12.5, b=288.5), stats.beta(12.5, 288.5)),
    (Lognormal(p5=10, p95=1000), stats.lognorm(np.log(100) / 3.2897072539, scale=100)),
    (Poisson(expected=3.2), stats.poisson(3.2)),
    (Poisson(expected=4000), stats.poisson(4000)),
]


@pytest.mark.parametrize(("ours", "theirs"), EXAMPLES, ids=lambda d: type(d).__name__)
def test_quantiles_and_mean_agree_with_scipy(ours, theirs):
    np.testing.assert_allclose(ours.quantile(U), theirs.ppf(U), rtol=2e-4, atol=1e-10)
    assert ours.mean == pytest.approx(theirs.mean(), rel=1e-9)


def test_a_lognormal_has_its_90_percent_interval():
    draws = Lognormal(p5=3, p95=70).sample(np.random.default_rng(1), 200_000)
    np.testing.assert_allclose(np.quantile(draws, [0.05, 0.95]), [3, 70], rtol=0.02)


def test_a_degenerate_range_is_its_value():
    assert (Pert(low=4, mode=4, high=4).quantile(U) == 4).all()
    assert (Uniform(low=4, high=4).quantile(U) == 4).all()


@given(
    a=st.floats(0.2, 50),
    b=st.floats(0.2, 5000),
    hits=st.floats(0, 20),
    u=st.lists(st.floats(0, 1), min_size=2, max_size=20),
)
def test_more_hits_and_higher_uniforms_never_lower_a_rate(a, b, hits, u):
    u = np.sort(u)
    fewer, more = Beta(a=a, b=b).quantile(u), Beta(a=a + hits, b=b).quantile(u)
    assert (np.diff(fewer) >= 0).all()
    assert (more >= fewer - 1e-12).all()
    assert ((fewer >= 0) & (fewer <= 1)).all()


@given(
    points=st.lists(st.floats(0, 1e9), min_size=3, max_size=3),
    shift=st.floats(0, 1e6),
    u=st.floats(0, 1),
)
def test_a_range_moved_up_draws_higher(points, shift, u):
    low, mode, high = sorted(points)
    here = Pert(low=low, mode=mode, high=high).quantile(u)
    above = Pert(low=low + shift, mode=mode + shift, high=high + shift).quantile(u)
    assert above >= here - 1e-6 * max(high + shift, 1)
    assert low <= here <= high


def test_scaling_scales_every_quantile():
    for d in (Uniform(low=1, high=2), Pert(low=1, mode=2, high=9), Lognormal(p5=1, p95=9)):
        np.testing.assert_allclose(d.scaled(3).quantile(U), 3 * d.quantile(U), rtol=1e-9)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ('dist = "normal", basis = "assumed"', ": unknown dist 'normal'"),
        ('dist = "prt", basis = "assumed"', ": unknown dist 'prt': did you mean 'pert'"),
        ('dist = "fixed", value = 1', ": basis is missing: add it"),
        ('dist = "fixed", basis = "assumed"', ".value is missing: add it"),
        ('dist = "fixed", value = 1, basis = "guess"', ".basis: unknown basis 'guess'"),
        ('dist = "fixed", value = 1, basis = "cited"', ": basis is 'cited' but there is no source"),
        ('dist = "fixed", value = "1", basis = "assumed"', ".value: '1': expected a number"),
        ('dist = "fixed", value = true, basis = "assumed"', ".value: True: expected a number"),
        ('dist = "fixed", value = nan, basis = "assumed"', ": value is nan: give a finite number"),
        (f'dist = "fixed", value = 1{"0" * 400}, basis = "expert"', ".value: a number too large"),
        ('dist = "fixed", value = 1, note = 2, basis = "expert"', ".note: 2: input should be a"),
        ('dist = "uniform", low = 2, high = 1, basis = "poc"', ": low 2 is above high 1"),
        ('dist = "pert", low = 0, mode = 3, high = 1, basis = "poc"', ": mode 3 is outside"),
        ('dist = "lognormal", p5 = 0, p95 = 1, basis = "expert"', ": p5 is 0: a lognormal lies"),
        ('dist = "lognormal", p5 = 2, p95 = 1, basis = "expert"', ": p5 2 is above p95 1"),
        ('dist = "beta", a = 0, b = 1, basis = "measured"', ": a = 0, b = 1: both must be above"),
        ('dist = "uniform", low = 0, hihg = 1, basis = "poc"', "'hihg': did you mean 'high'"),
    ],
)
def test_a_wrong_table_is_one_line(table: str, line: str):
    shipped = profile_file("healthcare-us", Path()).read_text(encoding="utf-8")
    broken = re.sub(r"churn = .*", f"churn = {{{table}}}", shipped, count=1)
    with pytest.raises(InputError) as error:
        parse_profile(broken, "p.toml")
    assert str(error.value).startswith("p.toml: loss.churn")
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_a_result_stands_on_its_weakest_ground():
    assert weakest("measured", "cited", "poc") == "cited"
    assert weakest("assumed", "measured") == "assumed"
    assert weakest() == "measured"


def test_the_ground_survives_scaling():
    d = Fixed(value=2, basis="cited", source="x").scaled(2)
    assert (d.value, d.basis, d.source) == (4, "cited", "x")
