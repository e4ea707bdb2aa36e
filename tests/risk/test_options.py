"""The ground of an option: every figure that enters its price, and no other."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from memory_assets.risk.distribution import Distribution, Fixed
from memory_assets.risk.options import Measure, Option, with_evidence

ASSUMED = Fixed(value=-1e6, basis="assumed")
BARE = Measure(name="cover")
FIGURES = [f.name for f in fields(Measure) if isinstance(getattr(BARE, f.name), Distribution)]
COSTS = {"one_off", "annual", "premium_change"}


def test_an_option_that_changes_nothing_is_as_well_known_as_the_audit():
    assert Option("cover", (BARE,)).basis == "measured"


@pytest.mark.parametrize("figure", FIGURES)
def test_an_option_stands_on_the_weakest_of_its_figures(evidence, figure: str):
    """A measured option has its effects from its audit; its costs stay as they were declared."""
    option = Option("cover", (replace(BARE, **{figure: ASSUMED}),))
    assert option.basis == "assumed"
    expected = "assumed" if figure in COSTS else "measured"
    assert with_evidence(option, evidence).basis == expected
