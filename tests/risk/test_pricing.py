"""The whole chain: what it refuses, what it repeats, and which way every input moves it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_assets.errors import InputError
from memory_assets.results.estimate import Estimate
from memory_assets.risk.accounting import simulate_options
from memory_assets.risk.distribution import Distribution, Fixed
from memory_assets.risk.evidence import Evidence, Stratum, Utility
from memory_assets.risk.gate import decide
from memory_assets.risk.learning import learn
from memory_assets.risk.options import AS_IS, Measure, Option, combine, line_up, with_evidence
from memory_assets.risk.pricing import price
from memory_assets.risk.profile import Profile
from memory_assets.risk.reading import load_profile, shipped_profiles
from memory_assets.risk.report import OptionResult, RiskReport
from memory_assets.risk.scenario import Scenario
from memory_assets.risk.simulation import Streams
from memory_assets.risk.tail import AnnualLosses

YEARS = 6000
FILTER = Option("filter", (Measure(name="filter", miss=Fixed(value=0.2)),))
LOSSES = ("expected_loss", "var99", "cvar95", "retained_loss", "retained_cvar95")


def named(report: RiskReport, name: str = "none") -> OptionResult:
    return next(o for o in report.options if o.name == name)


def value(report: RiskReport, quantity: str, option: str = "none") -> float:
    found = getattr(named(report, option), quantity).value
    assert found is not None
    return found


def set_input(profile: Profile, name: str, to: Any) -> Profile:
    section, field = name.split(".")
    return replace(profile, **{section: replace(getattr(profile, section), **{field: to})})


def scale_input(profile: Profile, name: str, factor: float) -> Profile:
    section, field = name.split(".")
    return set_input(profile, name, getattr(getattr(profile, section), field).scaled(factor))


def test_an_audit_without_a_verdict_prices_nothing(evidence, profile):
    withheld = replace(evidence, verdict="insufficient evidence", reason="the blind baseline won")
    report = price(withheld, profile, years=YEARS)
    assert not report.priced
    assert report.reason == "insufficient evidence: the blind baseline won"
    assert report.options == report.rows() == report.forecasts == ()
    assert report.gate is report.plan is None
    # The inputs are still shown: a reader sees what would have been used.
    assert report.inputs


def test_membership_alone_is_no_cost_where_it_is_not_sensitive(evidence, profile):
    only = replace(evidence, strata=())
    assert price(only, profile, years=YEARS).priced
    plain = set_input(profile, "data.membership_sensitive", False)
    report = price(only, plain, years=YEARS)
    assert not report.priced
    assert "membership_sensitive" in report.reason
    both = price(evidence, plain, years=YEARS)
    assert named(both).membership_rate.value is None
    assert named(price(only, profile, years=YEARS)).leak_rate.value is None
    assert both.membership_ppv is None


def test_the_same_inputs_give_the_same_report(evidence, profile):
    one, two = (price(evidence, profile, seed=4, years=YEARS) for _ in range(2))
    assert one == two
    assert price(evidence, profile, seed=5, years=YEARS) != one


def test_an_option_does_not_depend_on_its_company(evidence, profile):
    alone = price(evidence, profile, [FILTER], years=YEARS)
    among = price(evidence, profile, [*profile.options, FILTER], years=YEARS)
    assert named(alone, "filter") == named(among, "filter")
    assert named(alone) == named(among)


def test_figures_are_whole_and_become_rows(evidence, profile):
    report = price(evidence, profile, years=YEARS)
    rows = report.rows()
    assert {r.audit_id for r in rows} == {"audit-1"}
    assert len({(r.option, r.quantity) for r in rows}) == len(rows)
    for row in rows:
        if row.ci_low is not None and row.ci_high is not None:
            assert row.ci_low <= row.ci_high
    for option in report.options:
        for name, figure in option.figures():
            assert figure.value is not None or figure.note, name
    by = {(r.option, r.quantity): r for r in rows}
    assert by["none", "leak_rate"].basis == "measured"
    assert by["dp-training", "leak_rate"].basis == "assumed"
    assert by["none", "expected_loss"].unit == "JPY"
    # PPV leans on a declared prior: measured counts alone do not make it.
    assert by["none", "membership_ppv"].basis == "assumed"


def test_simulated_losses_agree_with_the_expectation_given_each_future(evidence, profile):
    futures = 50_000
    scenario = Scenario(evidence, profile, Streams(2), futures)
    for mine in simulate_options(line_up(profile.options), scenario):
        simulated = AnnualLosses(mine.years.gross).mean()
        analytic = mine.years.given.mean()
        assert simulated.value == pytest.approx(analytic, abs=4 * simulated.error)


UPWARD = [
    "exposure.queries",
    "exposure.targets",
    "exposure.campaigns",
    "exposure.escalation",
    "data.records",
    "loss.incident_records",
    "loss.fixed",
    "loss.per_record",
    "loss.claim_share",
    "loss.claim_award",
    "loss.churn",
    "loss.damages",
    "loss.regulator_fine",
]


@pytest.mark.parametrize("name", UPWARD)
@pytest.mark.parametrize("region", ["jp", "us"])
def test_doubling_an_input_never_lowers_a_loss(evidence, name, region):
    base = load_profile(f"manufacturing-{region}" if "damages" in name else f"healthcare-{region}")
    before = price(evidence, base, years=YEARS)
    after = price(evidence, scale_input(base, name, 2.0), years=YEARS)
    for option in before.options:
        for quantity in LOSSES:
            here, there = value(before, quantity, option.name), value(after, quantity, option.name)
            assert there >= here * (1 - 1e-9), (option.name, quantity)
    # What doubled is felt, unless this profile has it at zero.
    section, field = name.split(".")
    if getattr(getattr(base, section), field).mean > 0:
        assert value(after, "expected_loss") > value(before, "expected_loss")


@settings(max_examples=12)
@given(k=st.integers(0, 100), more=st.integers(1, 100), seed=st.integers(0, 1000))
def test_a_higher_leak_rate_never_lowers_a_loss(k, more, seed):
    base = load_profile("retail-eu")

    def report(hits: int) -> RiskReport:
        found = Evidence("a", "fail", strata=(Stratum("all", hits, 300),))
        return price(found, base, (), seed=seed, years=1500)

    fewer, extra = report(k), report(k + more)
    for quantity in (*LOSSES, "leak_rate", "exposed_records", "incidents"):
        assert value(extra, quantity) >= value(fewer, quantity) * (1 - 1e-9)


def test_a_better_membership_attack_costs_more(evidence, profile):
    sharper = replace(evidence, membership=replace(evidence.membership, tp=200))
    alarms = replace(evidence, membership=replace(evidence.membership, fp=35))
    base, worse, noisy = (price(e, profile, (), years=YEARS) for e in (evidence, sharper, alarms))
    assert value(worse, "expected_loss") > value(base, "expected_loss")
    assert value(noisy, "expected_loss") < value(base, "expected_loss")


@settings(max_examples=15)
@given(
    miss=st.floats(0, 1),
    tighter=st.floats(0, 1),
    release=st.sampled_from(["internal", "public-api"]),
)
def test_a_filter_never_raises_leakage(miss, tighter, release):
    found = Evidence("a", "fail", strata=(Stratum("all", 5, 300),))
    base = set_input(load_profile("finance-us"), "exposure.release", release)
    options = [
        Option(name, (Measure(name="f", miss=Fixed(value=m)),))
        for name, m in (("loose", miss), ("tight", miss * tighter))
    ]
    report = price(found, base, options, years=1500)
    for quantity in (*LOSSES, "leaks", "incidents"):
        none, loose, tight = (value(report, quantity, o) for o in ("none", "loose", "tight"))
        assert tight <= loose * (1 + 1e-9)
        assert loose <= none * (1 + 1e-9)


def test_open_weights_have_no_filter(evidence, profile):
    open_weights = set_input(profile, "exposure.release", "open-weights")
    report = price(evidence, open_weights, [FILTER], years=YEARS)
    assert value(report, "leaks", "filter") == value(report, "leaks")


@settings(max_examples=15)
@given(cover=st.floats(0, 1), deductible=st.floats(0, 1e8), limit=st.floats(0, 1e9))
def test_insurance_never_raises_the_retained_loss(cover, deductible, limit):
    found = Evidence("a", "fail", strata=(Stratum("all", 5, 300),))
    base = load_profile("retail-jp")
    terms = {"cover": cover, "deductible": deductible, "limit": limit}
    insured = replace(
        base, transfer=replace(base.transfer, **{n: Fixed(value=v) for n, v in terms.items()})
    )
    with_it, without = (price(found, p, (), years=1500) for p in (insured, base))
    for quantity in ("retained_loss", "retained_cvar95"):
        assert value(with_it, quantity) <= value(without, quantity) * (1 + 1e-9)
    assert value(with_it, "expected_loss") == value(without, "expected_loss")


def test_only_held_out_gains_count(evidence, profile):
    base = price(evidence, profile, (), years=YEARS)
    boasting = replace(evidence, utility=replace(evidence.utility, training=1.0))
    assert value(price(boasting, profile, (), years=YEARS), "value") == value(base, "value")
    assert base.training_gain.value == pytest.approx(120_000 * 0.09 * 20 / 60 * 3083.3, rel=1e-3)
    assert "not counted" in base.training_gain.note
    by_hand = 120_000 * 0.10 * 20 / 60 * 3083.3
    assert value(base, "value") == pytest.approx(by_hand, rel=0.02)
    # What rests on memorized records: a tenth or so.
    assert base.memorized_value.value == pytest.approx(0.11 * value(base, "value"), rel=0.1)


def test_an_unmeasured_value_is_none_and_cannot_be_go(evidence, profile):
    silent = replace(evidence, utility=None)
    report = price(silent, profile, years=YEARS)
    assert named(report).value.value is None
    assert report.gate.choice == "conditional"
    assert "was not measured" in report.gate.reasons[0]
    trial = set_input(profile, "value.poc_gain", Fixed(value=0.05, basis="poc"))
    assert price(silent, trial, years=YEARS).options[0].value.basis == "assumed"
    assert value(price(silent, trial, years=YEARS), "value") > 0
    unresolved = replace(evidence, utility=Utility("accuracy", Estimate.unresolvable(n=3)))
    assert named(price(unresolved, profile, years=YEARS)).value.value is None


def test_a_measured_option_uses_its_own_audit(evidence, profile):
    declared = next(o for o in profile.options if o.name == "early-stop")
    own = replace(
        evidence,
        audit_id="audit-2",
        strata=tuple(replace(s, k=0) for s in evidence.strata),
        utility=Utility("accuracy", Estimate(0.88, 0.86, 0.90, n=1000)),
    )
    measured = with_evidence(declared, own)
    result = named(price(evidence, profile, [measured], years=YEARS), "early-stop")
    assert result.measured
    assert result.leak_rate.basis == "measured"
    assert result.leak_rate.value == pytest.approx(0.95 * 0.5 / 1001 + 0.05 * 0.5 / 301, rel=0.05)
    assert result.utility_loss.value == pytest.approx(120_000 * 0.02 * 20 / 60 * 3083, rel=0.05)
    assert result.cost.value > 0
    # Without a verdict the option falls back on what was declared, and says so.
    withheld = with_evidence(declared, replace(own, verdict="insufficient evidence"))
    fallback = named(price(evidence, profile, [withheld], years=YEARS), "early-stop")
    assert not fallback.measured
    assert fallback == named(price(evidence, profile, [declared], years=YEARS), "early-stop")


def test_an_options_audit_must_probe_the_same(evidence, profile):
    other = replace(evidence, strata=(Stratum("else", 0, 100),))
    with pytest.raises(InputError, match="option 'filter': its audit probed"):
        price(evidence, profile, [with_evidence(FILTER, other)], years=YEARS)
    blind = replace(evidence, membership=None)
    with pytest.raises(InputError, match="no membership attack"):
        price(evidence, profile, [with_evidence(FILTER, blind)], years=YEARS)


def test_a_combination_multiplies_and_shares_its_parts(evidence, profile):
    half = Option("half", (Measure(name="half", leak_ratio=Fixed(value=0.5)),))
    both = combine(half, FILTER)
    assert both.name == "half+filter"
    assert combine(both, FILTER).measures == both.measures
    report = price(evidence, profile, [half, FILTER, both], years=YEARS)
    assert value(report, "leak_rate", "half") == pytest.approx(value(report, "leak_rate") / 2)
    assert value(report, "leaks", "half+filter") < value(report, "leaks", "half")
    with pytest.raises(InputError, match="'half' is given twice"):
        price(evidence, profile, [half, half], years=YEARS)


def test_npv_of_an_option_is_the_difference(evidence, profile):
    report = price(evidence, profile, years=YEARS)
    assert value(report, "npv_of_option") == 0
    for option in report.options[1:]:
        difference = value(report, "npv", option.name) - value(report, "npv")
        assert option.npv_of_option.value == pytest.approx(difference, rel=1e-6, abs=1)


def _with(option: OptionResult, low: float | None, high: float | None, cvar: float):
    known = None if low is None else (low + high) / 2
    worth = replace(option.value, value=known, low=low, high=high, note="x")
    tail = replace(option.retained_cvar95, value=cvar)
    return replace(option, value=worth, retained_cvar95=tail)


@pytest.mark.parametrize(
    ("as_is", "option", "choice"),
    [
        ((1, 9, 50), (1, 9, 50), "go"),
        ((1, 9, 150), (1, 9, 50), "conditional"),
        ((1, 9, 150), (-2, -1, 50), "stop"),
        ((1, 9, 150), (1, 9, 150), "stop"),
        ((-1, 9, 50), (-9, -1, 50), "conditional"),
        ((-9, -1, 50), (-9, -1, 50), "stop"),
        ((None, None, 50), (None, None, 50), "conditional"),
        ((None, None, 150), (None, None, 150), "stop"),
        ((1, 9, 100), (1, 9, 150), "go"),
    ],
)
def test_the_gate(evidence, profile, as_is, option, choice):
    base = price(evidence, profile, [FILTER], years=3000).options
    gate = decide([_with(base[0], *as_is), _with(base[1], *option)], appetite=100.0)
    assert gate.choice == choice
    assert all(r.endswith(".") for r in gate.reasons)


def test_a_declared_way_out_asks_for_an_audit(evidence, profile):
    base = price(evidence, profile, [FILTER], years=3000).options
    gate = decide([_with(base[0], 1, 9, 150), _with(base[1], 1, 9, 50)], 100.0)
    assert any("audit the model built that way" in r for r in gate.reasons)
    audited = replace(base[1], measured=True)
    gate = decide([_with(base[0], 1, 9, 150), _with(audited, 1, 9, 50)], 100.0)
    assert not any("audit the model built that way" in r for r in gate.reasons)


def test_the_last_release_opens_the_next(evidence, profile):
    first = price(evidence, profile, (), years=YEARS)
    clean = replace(evidence, strata=tuple(replace(s, k=0) for s in evidence.strata))
    fresh = price(clean, profile, (), years=YEARS)
    learned = price(clean, profile, (), years=YEARS, learned=learn([evidence], 0.5))
    low, middle, high = (value(r, "leak_rate") for r in (fresh, learned, first))
    assert low < middle < high


def test_a_classifier_learns_from_its_last_release_too(evidence, profile):
    told = replace(evidence, strata=())
    blunt = replace(told, membership=replace(evidence.membership, tp=5))
    fresh = price(blunt, profile, (), years=YEARS)
    learned = price(blunt, profile, (), years=YEARS, learned=learn([told], 0.5))
    first = price(told, profile, (), years=YEARS)
    low, middle, high = (value(r, "membership_rate") for r in (fresh, learned, first))
    assert low < middle < high
    swings = {s.name: s for s in learned.tornado}
    assert swings["leakage.membership_tpr"].low > 0.01  # as the losses: not from its counts alone


def test_equal_counts_leak_alike_whatever_was_learned(evidence, profile):
    audited = with_evidence(Option("twin"), replace(evidence, audit_id="audit-2"))
    clean = replace(evidence, strata=tuple(replace(s, k=0) for s in evidence.strata))
    learned = learn([clean, replace(evidence, membership=None)], 0.5)
    report = price(evidence, profile, [audited], years=YEARS, learned=learned)
    for quantity in ("leak_rate", "membership_rate", "expected_loss"):
        assert value(report, quantity, "twin") == value(report, quantity), quantity


def test_membership_that_no_option_changes_makes_no_probe_worth_more(evidence, profile):
    """The belief of the plan is about extraction; what members cost is not in proportion to it."""
    told = replace(evidence.membership, tp=300)
    clean = replace(evidence, strata=(Stratum("all", 0, 3000),), membership=told)
    costly = Option("filter", (replace(FILTER.measures[0], annual=Fixed(value=2e5)),))
    plain = set_input(profile, "data.membership_sensitive", False)
    with_it, without = (price(clean, p, [costly], years=YEARS) for p in (profile, plain))
    assert value(with_it, "expected_loss") > 2 * value(without, "expected_loss")
    assert with_it.plan is not None
    assert without.plan is not None
    assert without.plan.evpi > 0
    # Both may strike one release, which then is one incident: that little they share.
    assert with_it.plan.evpi == pytest.approx(without.plan.evpi, rel=0.1)
    pays_from = [value(r, "break_even_queries", "filter") for r in (with_it, without)]
    assert pays_from[0] == pytest.approx(pays_from[1], rel=0.05)


def test_what_an_option_saves_of_membership_is_no_reason_to_probe_extraction(evidence, profile):
    """No extraction rate changes whether a cure of membership alone is worth its cost."""
    told = replace(evidence.membership, tp=300)
    clean = replace(evidence, strata=(Stratum("all", 0, 3000),), membership=told, utility=None)
    cure = Measure(name="cure", membership_ratio=Fixed(value=0.2), annual=Fixed(value=1e5))
    plan = price(clean, profile, [Option("cure", (cure,))], years=YEARS).plan
    assert plan is not None
    assert plan.evpi < 0.01 * 1e5 * 0.25  # until the next release


def test_a_plan_knows_how_deep_its_audit_was(evidence, profile):
    assert price(evidence, profile, (), years=YEARS).probes == 1300
    assert price(replace(evidence, strata=()), profile, (), years=YEARS).probes == 1000


def test_forecasts_are_probabilities_of_named_events(evidence, profile):
    report = price(evidence, profile, years=YEARS)
    incidents = {f.option: f.probability for f in report.forecasts if f.event == "incident"}
    assert incidents["none"] > incidents["dp-training"] > 0
    assert any("next audit" in f.event for f in report.forecasts)


def test_the_tornado_is_sorted_and_knows_direction(evidence, profile):
    report = price(evidence, profile, years=YEARS)
    widths = [s.width for s in report.tornado]
    assert widths == sorted(widths, reverse=True)
    swings = {s.name: s for s in report.tornado}
    assert swings["exposure.escalation"].net_at_high < swings["exposure.escalation"].net_at_low
    assert swings["value.minutes_saved"].net_at_high > swings["value.minutes_saved"].net_at_low
    assert swings["leakage.rate"].basis == "measured"


def test_too_few_years_are_refused(evidence, profile):
    with pytest.raises(InputError, match="years is 100: give at least 300"):
        price(evidence, profile, years=100)


def test_every_shipped_profile_prices(evidence):
    for name in shipped_profiles():
        report = price(evidence, load_profile(name), years=600)
        assert report.gate.choice in ("go", "conditional", "stop")
        assert report.plan is not None


def test_a_leakless_profile_stays_finite(evidence, profile):
    nothing = Fixed(value=0.0)
    quiet = set_input(
        set_input(profile, "exposure.queries", nothing), "exposure.campaigns", nothing
    )
    report = price(evidence, quiet, years=YEARS)
    assert value(report, "expected_loss") == 0
    assert report.plan is None
    assert report.break_even_growth.value is None


def test_every_distribution_of_the_profile_is_an_input(profile):
    names = profile.inputs()
    for section in ("data", "exposure", "loss", "transfer", "value", "decision"):
        holder = getattr(profile, section)
        for f in fields(holder):
            if isinstance(getattr(holder, f.name), Distribution):
                assert f"{section}.{f.name}" in names


def test_as_is_has_no_cost(evidence, profile):
    result = price(evidence, profile, [AS_IS, FILTER], years=YEARS).options
    assert [o.name for o in result] == ["none", "filter"]
    assert result[0].cost.value == 0
    assert result[0].rosi.value is None
    assert result[0].rosi.note
