"""Profiles: the shipped ones, every mistake in one line, and the small company's four numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from memory_assets.errors import InputError
from memory_assets.risk import reading
from memory_assets.risk.company import small_company
from memory_assets.risk.describe import describe
from memory_assets.risk.distribution import BASES
from memory_assets.risk.reading import load_profile, parse_profile, shipped_profiles

INDUSTRIES = {
    "finance",
    "healthcare",
    "manufacturing",
    "public-sector",
    "retail",
    "software-service",
}
CURRENCY = {"jp": "JPY", "us": "USD", "eu": "EUR"}


@pytest.fixture
def text() -> str:
    shipped = Path(reading.__file__).parent / "profiles"
    return (shipped / "healthcare-us.toml").read_text(encoding="utf-8")


def test_six_industries_in_three_currencies_are_shipped():
    assert set(shipped_profiles()) == {f"{i}-{r}" for i in INDUSTRIES for r in CURRENCY}


@pytest.mark.parametrize("name", shipped_profiles())
def test_a_shipped_profile_is_whole(name):
    profile = load_profile(name)
    industry, _, region = name.rpartition("-")
    assert (profile.industry, profile.currency) == (industry, CURRENCY[region])
    assert {m.name for o in profile.options for m in o.measures} == {
        "early-stop",
        "de-duplication",
        "dp-training",
        "output-filter",
    }
    listed = {s.id for s in profile.sources}
    assert all(d.source in listed for d in profile.inputs().values() if d.basis == "cited")
    # No figure was read at its source yet, and nothing may claim so.
    assert not any(s.verified for s in profile.sources)
    # Insurance is not counted on unless a policy says so.
    assert profile.transfer.cover.mean == 0
    # A statutory cap is never the likely fine.
    assert profile.loss.regulator_fine.mean < profile.loss.cap


def test_a_source_says_the_same_everywhere():
    seen: dict[str, object] = {}
    for name in shipped_profiles():
        for source in load_profile(name).sources:
            assert seen.setdefault(source.id, source) == source


def test_emphasis_by_industry():
    assert load_profile("healthcare-jp").data.membership_sensitive
    assert load_profile("manufacturing-eu").loss.per_record.mean == 0
    assert load_profile("manufacturing-eu").loss.damages.mean > 0
    assert load_profile("software-service-us").loss.damages.mean > 0
    assert load_profile("public-sector-eu").loss.regulator_cap_turnover == 0
    assert load_profile("retail-eu").loss.cap == pytest.approx(20e6)


def test_a_turnover_cap_follows_the_rule():
    loss = load_profile("finance-eu").loss
    big = loss.revenue.scaled(100)
    assert replace(loss, revenue=big).cap == pytest.approx(0.04 * big.mean)
    lower = replace(loss, revenue=big, regulator_cap_rule="lower")
    assert lower.cap == pytest.approx(20e6)


MISTAKES = [
    (r"hit_share = .*", 'hit_share = {dist="uniform", low=0.1, high=1.4, basis="expert"}',
     r"p\.toml: exposure\.hit_share: 1\.4 is not a probability"),
    (r"hit_share = .*", 'hit_share = {dist="uniform", low=0.4, high=0.1, basis="expert"}',
     r"p\.toml: exposure\.hit_share: low 0\.4 is above high 0\.1"),
    (r'currency = "USD"', 'currency = "USB"', r"p\.toml: currency: unknown currency 'USB'.*'USD'"),
    (r"escalation = .*", 'escalation = {dist="fixed", value=0.1, basis="cited"}',
     r"p\.toml: exposure\.escalation: basis is 'cited' but there is no source"),
    (r"escalation = .*", 'escalation = {dist="fixed", value=0.1, basis="cited", source="ibm-2026"}',
     r"p\.toml: exposure\.escalation\.source: unknown source 'ibm-2026': did you mean 'ibm-2025'"),
    (r"kpi = .*", "", r"p\.toml: value\.kpi is missing"),
    (r"kpi = .*", 'kpi = ""', r"p\.toml: value\.kpi: ''"),
    (r"minutes_saved = .*", "", r"p\.toml: value\.value_per_unit: state a unit's worth once"),
    (r"hit_share = ", "hitshare = ", r"p\.toml: exposure: unknown key 'hitshare'.*'hit_share'"),
    (r"\[exposure\]", "[exposur]", r"p\.toml: unknown key 'exposur': did you mean 'exposure'"),
    (r"horizon = 3", "horizon = 0",
     r"p\.toml: decision\.horizon: 0: input should be greater than or equal to 1"),
    (r"releases = .*", 'releases = {dist="fixed", value=0, basis="expert"}',
     r"p\.toml: exposure\.releases is 0"),
    (r"releases = .*", "releases = 4", r"p\.toml: exposure\.releases: 4: give a table such as"),
    (r"appetite = .*", 'appetite = {dist="uniform", low=1, high=2, basis="expert"}',
     r"p\.toml: decision\.appetite: dist is 'uniform': expected \"fixed\""),
    (r'release = "internal"', 'release = "intern"',
     r"exposure\.release: unknown release 'intern': did you mean 'internal'"),
    (r"queries = .*", 'queries = {dist="fixed", value=-3, basis="expert"}',
     r"p\.toml: exposure\.queries: -3 is below 0"),
    (r"membership_sensitive = true", 'membership_sensitive = "yes"', r"write true or false"),
    (r'combines = .*', 'combines = ["de-duplication", "output-filtr"]',
     r"options\.de-duplication-and-filter\.combines: unknown option 'output-filtr'"),
    (r"horizon = 3", "horizon = ", r"p\.toml: not valid TOML"),
    (r"horizon = 3", 'horizon = 3.5', r"decision\.horizon: 3\.5: input should be a valid integer"),
    (r"horizon = 3", 'horizon = true', r"decision\.horizon: True: input should be a valid integer"),
    (r"hit_share = .*", "hit_share = {dist=1, value=2}", r"exposure\.hit_share: unknown dist '1'"),
    (r'combines = .*', 'combines = ["de-duplication"]',
     r"options\.de-duplication-and-filter\.combines: \['de-duplication'\]: .* at least 2 items"),
    (r'combines = ', 'combine = ', r"options\.de-duplication-and-filter: unknown key 'combine'"),
    (r'combines = ', 'one_of = 1\ncombines = ', r"-and-filter: unknown key 'one_of'.*combines"),
    (r"\[exposure\]", "[[exposure]]", r"exposure: \[.*\]: give a table"),
    (r"\[exposure\]", "[value.a]", r"p\.toml: value: unknown key 'a'"),
    (r'currency = "USD"', 'currency = "USD"\ndefaulted = []', r"p\.toml: unknown key 'defaulted'"),
    (r"classes = .*", "classes = [1]", r"data\.classes\.0: 1: input should be a valid string"),
    (r"classes = .*", "shares = {a = 0.5, b = 0.4}", r"data\.shares: shares sum to 0\.9"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line"), MISTAKES, ids=[m[2][:40] for m in MISTAKES])
def test_a_mistake_is_one_clear_line(text, old, new, line):
    broken = re.sub(old, lambda _: new, text, count=1)
    assert broken != text
    with pytest.raises(InputError) as error:
        parse_profile(broken, "p.toml")
    assert re.search(line, str(error.value)), str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_profile_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'healthcare-jp'"):
        load_profile("helthcare-jp")


def test_a_profile_of_ones_own_may_lie_anywhere(tmp_path, text):
    path = tmp_path / "ours.toml"
    path.write_text(text, encoding="utf-8")
    assert load_profile(path) == load_profile("healthcare-us")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"ours\.toml: not UTF-8"):
        load_profile(path)


def test_describe_shows_grounds_and_what_matters():
    summary = describe(load_profile("finance-jp"))
    assert sum(summary.by_basis.values()) == len(summary.lines)
    assert set(summary.by_basis) == set(BASES)
    assert summary.by_basis["cited"] > 0
    fixed = next(line for line in summary.lines if line.name == "loss.fixed")
    assert (fixed.unit, fixed.basis, fixed.source) == ("JPY", "cited", "jnsa-2024")
    assert fixed.verified is False
    assert fixed.low < fixed.mean < fixed.high
    assert len(summary.matter_most) == 3
    widths = [s.width for s in summary.matter_most]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] > 0


def test_a_small_company_states_three_numbers_and_everything_else_is_flagged():
    profile = small_company("retail", 5000, 2000, 200_000_000, "JPY")
    inputs = profile.inputs()
    stated = {name for name in inputs if name not in profile.defaulted}
    assert stated == {"data.records", "exposure.queries", "loss.revenue"}
    assert inputs["data.records"].mean == 5000
    assert inputs["exposure.queries"].mean == 24_000
    assert all(line.defaulted == (line.name not in stated) for line in describe(profile).lines)


def test_a_small_companys_defaults_are_sized_to_it():
    base = load_profile("retail-us")
    size = 1e6 / base.loss.revenue.mean
    small = small_company("retail", 5000, 2000, 1e6, "USD")
    assert small.decision.appetite.mean == pytest.approx(base.decision.appetite.mean * size)
    assert small.loss.churn.mean == pytest.approx(base.loss.churn.mean * size)
    # What was sized is no longer what a source says.
    assert small.loss.churn.basis == "assumed"
    # Forensics cost what they cost.
    assert small.loss.fixed == base.loss.fixed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("retial", 1, 1, 1, "JPY"), "did you mean 'retail'"),
        (("retail", 0, 1, 1, "JPY"), "records is 0"),
        (("retail", 1, float("nan"), 1, "JPY"), "queries_per_month is nan"),
        (("retail", 1, 1, 1, "GBP"), "unknown currency 'GBP'"),
    ],
)
def test_a_small_companys_mistakes(arguments, words):
    with pytest.raises(InputError) as error:
        small_company(*arguments)
    assert words in str(error.value)
