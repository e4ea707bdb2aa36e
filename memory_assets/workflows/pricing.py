"""From a concluded audit to money: its counts, the owner's profile, and what could be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from memory_assets.config.classifier import AuditedSubject
from memory_assets.config.priced import PricedSubject
from memory_assets.errors import InputError
from memory_assets.history.bundle import Audit
from memory_assets.history.files import Files
from memory_assets.history.money import RiskRun, write_risk
from memory_assets.history.questions import ask
from memory_assets.records.outcomes import read_outcomes
from memory_assets.results.tables import VERDICT, controls_from, findings_from, measurements_from
from memory_assets.risk import profile_file
from memory_assets.risk.company import small_company
from memory_assets.risk.evidence import Evidence
from memory_assets.risk.learning import learn
from memory_assets.risk.options import Option, with_evidence
from memory_assets.risk.pricing import price
from memory_assets.risk.profile import Profile
from memory_assets.risk.reading import load_profile
from memory_assets.risk.report import RiskReport, RiskRow
from memory_assets.store.artifacts import Artifact, ArtifactStore
from memory_assets.store.digest import digest
from memory_assets.validity.scope import standing
from memory_assets.workflows.comparison_audits import versions_beside
from memory_assets.workflows.priced_evidence import Audited, evidence_of
from memory_assets.workflows.record import PRICING, RISK_KIND

YEARS = 200_000
_SEED = 0


@dataclass(frozen=True)
class Neighbours:
    """Other versions of the subject that were audited: what the price of this one may use.

    `mitigated` maps an option of the profile to the version that was built that way; `earlier` are
    the releases before this one, oldest first.
    """

    mitigated: Mapping[str, Audited]
    earlier: Sequence[Audited] = ()


def recorded(home: Path, subject: str, version: str) -> Audited | None:
    """The audit in force of a version, in the history, less what its controls withhold; None where
    it has none."""
    if not Files(home).published.is_file():
        return None
    rows = ask(
        home,
        "select audits.* from audits semi join audits_in_force using (audit_id) "
        "where subject = $subject and model_version = $version",
        {"subject": subject, "version": version},
    ).to_pylist()
    if not rows:
        return None
    asked = {"audit_id": rows[0]["audit_id"]}
    found = ask(
        home,
        "select * from measurements where audit_id = $audit_id "
        "order by family, attack, population, metric, threshold",
        asked,
    )
    controls = ask(home, "select * from controls where audit_id = $audit_id", asked)
    said = findings_from(ask(home, "select * from findings where audit_id = $audit_id", asked))
    measured = standing(measurements_from(found), controls_from(controls, said))
    return Audited(Audit(**rows[0], findings=said.get((VERDICT, ""), ())), measured)


def neighbours(
    home: Path, subject: str, version: str, mitigations: Mapping[str, str], released: Sequence[str]
) -> Neighbours:
    """The recorded audits beside one version; `released` lists all versions, oldest first."""
    beside = versions_beside(version, mitigations, released)
    mitigated = {
        option: audited
        for option, other in beside.mitigated.items()
        if (audited := recorded(home, subject, other))
    }
    found = [recorded(home, subject, earlier) for earlier in beside.earlier]
    return Neighbours(mitigated, [audited for audited in found if audited])


def _options(
    profile: Profile, version: str, mitigations: Mapping[str, str], measured: Mapping[str, Evidence]
) -> list[Option]:
    """The profile's options, those that were audited with their own evidence.

    The version that was itself built by a measure cannot take it again: that option falls away.

    Raises:
        InputError: a mitigation that the profile does not declare.
    """
    declared = {option.name: option for option in profile.options}
    for name in mitigations:
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise InputError(f"mitigations.{name}: no such option in the profile; it has {known}")
    return [
        with_evidence(option, measured[name]) if name in measured else option
        for name, option in declared.items()
        if mitigations.get(name) != version
    ]


def _plan_rows(report: RiskReport) -> list[RiskRow]:
    """The audit plan as rows beside the estimates: what the history's calendar reads."""
    plan, first = report.plan, report.options[0]
    if plan is None:
        return []
    values = {
        "audit_depth": ("count", float(plan.depth)),
        "audit_evpi": (report.currency, plan.evpi),
        "audits_per_release": ("ratio", plan.audits_per_release),
        "audit_every": ("years", plan.between.years if plan.between else None),
    }
    return [
        RiskRow(report.audit_id, "none", name, unit, value, None, None, first.expected_loss.basis)
        for name, (unit, value) in values.items()
        if value is not None
    ]


def profile_of(subject: PricedSubject, root: Path) -> Profile | None:
    """The profile that a subject is priced by; None where it names none.

    Raises:
        InputError: no such profile, or anything wrong in it.
    """
    if (company := subject.company) is not None:
        return small_company(**company.model_dump())
    return load_profile(profile_file(subject.profile, root)) if subject.profile else None


def price_audit(
    audited: Audited,
    subject: PricedSubject,
    root: Path,
    beside: Neighbours,
    prior: float | None,
    store: ArtifactStore,
) -> Artifact:
    """Price one audit through a profile: a folder with `report.json`, which `read_risk` reads.

    Where something was priced the folder also is a bundle that the history appends. The key
    digests the audit, the profile, the audits of the options and the formula: a changed profile
    gives another folder and touches no audit.

    Raises:
        InputError: no profile or no such one, anything wrong in it or in the outcomes, or
            mitigations that it does not declare.
    """
    profile = profile_of(subject, root)
    if profile is None:
        raise InputError("profile: nothing to price by; name a profile, or a company")
    outcomes = read_outcomes(root / subject.outcomes) if subject.outcomes else None
    measured = {
        name: evidence_of(other, profile, prior, outcomes)
        for name, other in beside.mitigated.items()
    }
    options = _options(profile, audited.audit.model_version, subject.mitigations, measured)
    own = evidence_of(audited, profile, prior, outcomes)
    before = [evidence_of(earlier, profile, prior) for earlier in beside.earlier]
    learned = learn(before, profile.decision.carry_over.mean)
    basis = [own, options, learned, PRICING.versions(), YEARS, _SEED]
    key = digest("risk", subject.profile_name, profile, basis)

    @PRICING.at_work()
    def build(folder: Path) -> None:
        report = price(own, profile, options, _SEED, YEARS, learned)
        folder.mkdir()
        (folder / "report.json").write_bytes(_REPORT.dump_json(report))
        if not report.priced:
            return
        run = RiskRun(
            risk_id=key,
            audit_id=own.audit_id,
            profile=subject.profile_name,
            profile_digest=digest(profile),
            code_version=PRICING.in_words(),
            computed_at=datetime.now(UTC),
        )
        rows = (*report.rows(), *_plan_rows(report))
        write_risk(folder, run, rows, report.forecasts)

    return store.get_or_build(RISK_KIND, key, build)


def price_version(
    subject: AuditedSubject,
    root: Path,
    audited: Audited,
    released: Sequence[str],
    store: ArtifactStore,
) -> Artifact | None:
    """Price the audit of one version of a subject; None where it names no profile.

    `released` lists all versions, oldest first.

    Other versions are read from the history: an audit that is not recorded yet is not seen.

    Raises:
        InputError: as `price_audit`.
    """
    if not subject.priced:
        return None
    version = audited.audit.model_version
    beside = neighbours(store.root, subject.subject, version, subject.mitigations, released)
    # A prior that nobody wrote down is the profile's to say.
    prior = subject.prior if "prior" in subject.model_fields_set else None
    return price_audit(audited, subject, root, beside, prior, store)


def next_audit_days(report: RiskReport | None, cadence_days: int) -> int:
    """Days until the next audit: the cadence of the owner, or sooner where the plan says so."""
    between = report.plan.between if report and report.plan else None
    if between is None:
        return cadence_days
    return max(1, min(cadence_days, round(between.years * 365)))


_REPORT = TypeAdapter(RiskReport)


def read_risk(folder: Path) -> RiskReport:
    """The priced audit of a folder, equal to what was computed."""
    return _REPORT.validate_json((folder / "report.json").read_bytes())
