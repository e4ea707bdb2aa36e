"""From an audit's measurements to the counts that are priced, and which keys change with what."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from scipy import stats

from memory_assets.config.priced import Company, PricedSubject
from memory_assets.errors import InputError
from memory_assets.history.bundle import Audit
from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.risk import profile_file
from memory_assets.risk.plan import Rounds
from memory_assets.risk.reading import load_profile
from memory_assets.statistics.intervals import rate
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows import pricing
from memory_assets.workflows.pricing import (
    Audited,
    Neighbours,
    evidence_of,
    next_audit_days,
    price_audit,
    read_risk,
)

pytestmark = pytest.mark.slow

ALONE = Neighbours({})


def row(family, name, metric, estimate, stratum="all") -> Measurement:
    return Measurement(family, name, metric, "probability", estimate, 1, stratum)


def at_threshold(name: str, level: str, tp: int, fp: int, n: int = 700) -> list[Measurement]:
    return [
        row("membership", name, f"{side}_at_shadow_threshold_{level}", rate(k, n))
        for side, k in (("tpr", tp), ("fpr", fp))
    ]


def audited(verdict="fail", version="v1", extra=(), tp=57) -> Audited:
    moment = datetime(2026, 7, 20, tzinfo=UTC)
    audit = Audit(
        f"audit-{version}-{tp}",
        "digits",
        "classifier",
        version,
        *("0" * 64,) * 4,
        "0.1",
        "cpu",
        moment,
        moment,
        verdict,
        "a reason",
    )
    measured = [
        *at_threshold("loss", "0.01", 7, 8),
        *at_threshold("lira", "0.01", tp, 4),
        *at_threshold("lira", "0.1", 149, 68),
        row("utility", "target", "held_out_accuracy", rate(173, 180)),
        row("memorization", "gain", "held_out_gain", Estimate(0.04, 0.01, 0.5, n=32)),
        *extra,
    ]
    return Audited(audit, tuple(measured))


@pytest.fixture
def profile():
    return load_profile("healthcare-us")


@pytest.fixture
def store(tmp_path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "home")


def priced(store, found, profile="healthcare-us", root=Path(), beside=ALONE, mitigations=None):
    subject = PricedSubject(profile=profile, mitigations=mitigations or {})
    return price_audit(found, subject, root, beside, None, store)


def test_strongest_attack_at_the_threshold_that_the_shadows_fixed(profile):
    attack = evidence_of(audited(), profile, None).membership
    assert attack is not None
    assert (attack.attack, attack.tp, attack.fp, attack.members) == ("lira", 57, 4, 700)
    assert attack.prior is None
    stated = evidence_of(audited(), profile, 0.3).membership
    assert stated is not None
    assert stated.prior == 0.3


def test_a_threshold_that_is_not_resolved_gives_way_to_the_next(profile):
    found = audited()
    coarse = [m for m in found.measurements if not m.metric.endswith("0.01")]
    attack = evidence_of(replace(found, measurements=tuple(coarse)), profile, None).membership
    assert attack is not None
    assert (attack.tp, attack.fp) == (149, 68)


def test_share_of_the_gain_from_memorized_records_stays_a_share(profile):
    utility = evidence_of(audited(), profile, None).utility
    assert utility is not None
    share = utility.memorized_share
    gain = 173 / 180 - profile.value.baseline.mean
    assert share is not None
    assert share.value == pytest.approx(0.04 / gain)
    assert share.ci_high == 1.0


def test_extraction_tiers_become_strata_and_held_out_texts_do_not(profile):
    name, metric = "discoverable", "extraction_rate"
    tiers = [
        row("extraction", name, metric, rate(k, n), stratum)
        for stratum, k, n in (
            ("all", 13, 1300),
            ("repetitions=1", 1, 1000),
            ("repetitions=8+", 12, 300),
            ("held_out", 0, 500),
        )
    ]
    strata = evidence_of(audited(extra=tiers), profile, None).strata
    assert [(s.name, s.k, s.n) for s in strata] == [
        ("repetitions=1", 1, 1000),
        ("repetitions=8+", 12, 300),
    ]


def test_without_a_verdict_nothing_is_priced_and_nothing_is_for_the_history(store):
    made = priced(store, audited("insufficient evidence"))
    report = read_risk(made.path)
    assert not report.priced
    assert report.options == ()
    assert report.reason.startswith("insufficient evidence")
    assert [p.name for p in made.path.iterdir()] == ["report.json"]


def test_a_priced_audit_is_read_back_as_it_was_and_bundled(store):
    made = priced(store, audited())
    report = read_risk(made.path)
    assert report.gate is not None
    assert report.plan is not None
    assert {p.name for p in made.path.iterdir()} == {
        "report.json",
        "risk_runs.parquet",
        "risk_estimates.parquet",
        "forecasts.parquet",
    }
    assert priced(store, audited()).reused
    other = priced(ArtifactStore(store.root / "again"), audited())
    assert read_risk(other.path) == report
    assert (other.path / "report.json").read_bytes() == (made.path / "report.json").read_bytes()


def test_a_changed_profile_prices_anew_and_the_same_one_does_not(store, tmp_path):
    mine = tmp_path / "mine.toml"
    shutil.copy(profile_file("healthcare-us", Path()), mine)
    first = priced(store, audited(), "mine.toml", tmp_path)
    text = mine.read_text(encoding="utf-8")
    mine.write_text("# a remark\n" + text, encoding="utf-8")
    assert priced(store, audited(), "mine.toml", tmp_path).key == first.key
    mine.write_text(text.replace("horizon = 3", "horizon = 4"), encoding="utf-8")
    second = priced(store, audited(), "mine.toml", tmp_path)
    assert second.key != first.key
    assert (read_risk(first.path).horizon, read_risk(second.path).horizon) == (3, 4)
    assert {p.name for p in (store.root / "artifacts").iterdir()} == {"risk"}


def test_a_sibling_that_was_audited_speaks_for_its_option(store):
    beside = Neighbours({"early-stop": audited(version="v2", tp=20)})
    report = read_risk(
        priced(store, audited(), beside=beside, mitigations={"early-stop": "v2"}).path
    )
    measured = {o.name: o.measured for o in report.options}
    assert measured["early-stop"]
    assert not measured["dp-training"]
    by = {o.name: o for o in report.options}
    assert (by["early-stop"].leaks.value or 0) < (by["none"].leaks.value or 0)


def test_all_earlier_releases_with_a_verdict_open_the_counts_of_this_one(store, profile):
    kept = profile.decision.carry_over.mean
    first, second = audited(version="v1", tp=300), audited(version="v2", tp=200)
    withheld = audited("insufficient evidence", "v3", tp=699)
    chain = (first, second, withheld)
    report = read_risk(priced(store, audited(version="v4"), beside=Neighbours({}, chain)).path)
    alone = read_risk(priced(store, audited(version="v4")).path)
    a = 0.5 + kept * (200 + kept * 300)
    n = 1 + kept * (700 + kept * 700)
    (told,) = (s for s in report.tornado if s.name == "leakage.membership_tpr")
    by_hand = stats.beta(a + 57, n - a + 700 - 57)
    assert (told.low, told.high) == pytest.approx(by_hand.ppf([0.05, 0.95]))
    without = read_risk(priced(store, audited(version="v4"), beside=Neighbours({}, chain[:2])).path)
    assert without == report
    assert (alone.options[0].leaks.value or 0) < (report.options[0].leaks.value or 0)


def test_a_version_that_speaks_for_an_option_is_no_earlier_release(monkeypatch, tmp_path):
    """Its counts would enter twice: as the option's own, and in what they are added to."""
    known = {v: audited(version=v) for v in ("v1", "v2", "v4")}
    monkeypatch.setattr(pricing, "recorded", lambda *named: known.get(named[-1]))
    released = ["v1", "v2", "v3", "v4", "v5"]
    beside = pricing.neighbours(tmp_path, "digits", "v5", {"early-stop": "v2"}, released)
    assert [e.audit.model_version for e in beside.earlier] == ["v1", "v4"]
    assert beside.mitigated["early-stop"].audit.model_version == "v2"
    assert not pricing.neighbours(tmp_path, "digits", "v1", {}, released).earlier


def test_the_mitigated_version_is_not_offered_its_own_mitigation(store):
    found = audited(version="v2")
    report = read_risk(priced(store, found, mitigations={"early-stop": "v2"}).path)
    assert "early-stop" not in {o.name for o in report.options}


def test_an_unknown_mitigation_is_one_clear_line(store):
    with pytest.raises(InputError, match=r"mitigations\.magic: no such option"):
        priced(store, audited(), mitigations={"magic": "v2"})


def test_a_missing_profile_is_one_clear_line(store, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        priced(store, audited(), "absent.toml", tmp_path)


def test_the_plan_may_bring_the_next_audit_forward_and_never_puts_it_off(store):
    report = read_risk(priced(store, audited()).path)
    assert next_audit_days(None, 90) == 90
    assert report.plan is not None
    for years, days in ((0.1, 36), (5.0, 90), (None, 90)):
        between = None if years is None else Rounds(300, years, 0.9, 1.0)
        plan = replace(report.plan, between=between)
        assert next_audit_days(replace(report, plan=plan), 90) == days


def test_outcomes_of_unseen_cases_are_what_a_language_model_earns_by(tmp_path, store):
    """No accuracy is measured of a language model: its owner's cases say what it is worth."""
    leaked = row("extraction", "discoverable", "extraction_rate", rate(4, 400), "repetitions=1")
    found = replace(audited(), measurements=(leaked,))
    (tmp_path / "cases.csv").write_text(
        "version,case,right\n"
        + "".join(f"v1,{i},{int(i < 130)}\n" for i in range(200))
        + "v0,0,1\n"
    )
    unmeasured = PricedSubject(profile="software-service-us")
    measured = PricedSubject(profile="software-service-us", outcomes="cases.csv")
    before, after = (
        read_risk(price_audit(found, s, tmp_path, ALONE, None, store).path)
        for s in (unmeasured, measured)
    )
    assert before.options[0].value.value is None
    assert before.held_out is None
    # 65% on 200 cases, 50% today, 240,000 a year at 10 minutes of about 42.5 USD an hour.
    assert after.held_out == rate(130, 200)
    assert after.options[0].value.value == pytest.approx(0.15 * 240_000 * 42.5 / 6, rel=0.02)
    assert ("held_out_metric", 0.65) in {(r.quantity, r.value) for r in after.rows()}


def test_a_version_without_outcomes_is_not_priced_by_another_metric(profile):
    found = evidence_of(audited(), profile, None, {"v9": rate(1, 2)})
    assert found.utility is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version,correct\nv1,1\n", "no column 'right'"),
        ("version,right\nv1,maybe\n", "line 2: right is neither 0 nor 1"),
        ("version,case,right\n\nv1,a of, b,1\n", "line 3: 4 cells under 3 columns"),
        ("version,case,right\nv1,1\n", "line 2: 2 cells under 3 columns"),
        ("version,right,right\nv1,1,1\n", "column 'right' stands twice"),
        ("version,case,right\nv1,a,1\nv1,a,0\n", "line 3: its case stands twice"),
    ],
)
def test_wrong_outcomes_are_one_clear_line(tmp_path, store, text, words):
    (tmp_path / "cases.csv").write_text(text)
    subject = PricedSubject(profile="healthcare-us", outcomes="cases.csv")
    with pytest.raises(InputError, match=words):
        price_audit(audited(), subject, tmp_path, ALONE, None, store)


SHOP = {
    "industry": "retail",
    "records": 20_000,
    "queries_per_month": 30_000,
    "revenue": 3e8,
    "currency": "JPY",
}


def test_a_company_of_four_numbers_is_priced(tmp_path, store):
    leaked = row("extraction", "discoverable", "extraction_rate", rate(4, 400), "repetitions=1")
    found = replace(audited(), measurements=(leaked,))
    made = price_audit(found, PricedSubject(company=Company(**SHOP)), tmp_path, ALONE, None, store)
    report = read_risk(made.path)
    assert report.priced
    assert report.currency == "JPY"
    defaulted = {line.name for line in report.inputs if line.defaulted}
    assert not defaulted & {"data.records", "exposure.queries", "loss.revenue"}
    assert "loss.fixed" in defaulted


def test_profile_company_and_outcomes_do_not_contradict():
    with pytest.raises(ValueError, match="leave one out"):
        PricedSubject(profile="retail-jp", company=Company(**SHOP))
    with pytest.raises(ValueError, match="in a profile only"):
        PricedSubject(outcomes="cases.csv")
    with pytest.raises(ValueError, match="industry"):
        Company(**{**SHOP, "industry": "fishing"})


def test_the_files_of_a_price_are_watched(tmp_path):
    subject = PricedSubject(company=Company(**SHOP), outcomes="cases.csv")
    with pytest.raises(InputError, match="outcomes: no file"):
        subject.profile_files(tmp_path)
    (tmp_path / "cases.csv").write_text("version,right\n")
    assert set(subject.profile_files(tmp_path)) == {"cases.csv"}
