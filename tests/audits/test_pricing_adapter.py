"""From an audit's measurements to the counts that are priced, and which keys change with what."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memory_assets.artifacts import ArtifactStore
from memory_assets.audits.pricing import (
    Audited,
    Neighbours,
    evidence_of,
    next_audit_days,
    price_audit,
    read_risk,
)
from memory_assets.errors import InputError
from memory_assets.history.bundle import Audit
from memory_assets.risk import profile_file
from memory_assets.risk.reading import load_profile
from memory_assets.statistics.estimate import Estimate, Measurement
from memory_assets.statistics.intervals import rate

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
    return price_audit(found, profile, root, beside, mitigations or {}, None, store)


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
        plan = replace(report.plan, every_years=years)
        assert next_audit_days(replace(report, plan=plan), 90) == days
