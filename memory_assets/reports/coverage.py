"""What was tested and, as plainly, what was not."""

from __future__ import annotations

from memory_assets.reports.catalogue import Catalogue
from memory_assets.reports.inputs import ReportInput
from memory_assets.reports.markup import Html, el, join
from memory_assets.reports.tables import table

# EDPB Opinion 28/2024, paragraph 55, and the families of measurements that speak to each threat,
# none where no instrument does. The question `compliance_evidence` holds the same.
_THREATS = {
    "membership": ("membership",),
    "attribute": (),
    "exfiltration": ("extraction",),
    "regurgitation": ("extraction", "exposure"),
    "inversion": (),
    "reconstruction": (),
}
# A classifier answers with labels and scores: it cannot recite its training data.
_NOT_OF_CLASSIFIERS = ("exfiltration", "regurgitation")


def _families(found: ReportInput) -> set[str]:
    measured = found.bundle.measurements
    return {m.family for m in measured if m.estimate.status != "not_run"}


def _covering(found: ReportInput, threat: str) -> list[str]:
    ran = _families(found)
    return [name for name in _THREATS[threat] if name in ran]


def not_run_rows(found: ReportInput, t: Catalogue) -> list[tuple[str, str]]:
    """Each test that was not run, and why: as stated, as marked in the audit, or as a threat."""
    rows = {_test(n.name, t): t(f"reason.{n.reason}") for n in found.not_run}
    for m in found.bundle.measurements:
        if m.estimate.status == "not_run":
            rows.setdefault(_test(m.name, t), t("reason.unstated"))
    for threat in _THREATS:
        if not _covering(found, threat):
            absent = found.bundle.audit.kind == "classifier" and threat in _NOT_OF_CLASSIFIERS
            rows.setdefault(
                _test(threat, t), t("reason.not_applicable" if absent else "reason.no_test")
            )
    return list(rows.items())


def _test(name: str, t: Catalogue) -> str:
    """A test is an attack, an estimator, or a family of either."""
    named = (t.name(group, name) for group in ("attack", "estimator", "test"))
    return next((label for label in named if label != name), name)


def coverage(found: ReportInput, t: Catalogue) -> Html:
    """The threats of the EDPB's list with what covers them, and all that was not run."""
    threats = []
    for threat in _THREATS:
        by = _covering(found, threat)
        names = t("form.separator").join(t(f"test.{name}") for name in by)
        threats.append(
            [t(f"threat.{threat}"), f"✓ {names}" if by else f"– {t('coverage.uncovered')}"]
        )
    skipped = not_run_rows(found, t)
    headers = [t("column.threat"), t("column.covered")]
    return join(
        el("p", t("coverage.intro")),
        table("threats", t("coverage.threat_table"), headers, threats),
        el("h3", t("coverage.not_run_heading")),
        table(
            "not-run",
            t("coverage.not_run_table"),
            [t("column.test"), t("column.reason")],
            skipped,
            words=1,
        )
        if skipped
        else el("p", t("coverage.nothing")),
    )


def covered_threats(found: ReportInput) -> tuple[list[str], list[str]]:
    """The EDPB's threats that a test of this audit speaks to, and those that none does."""
    tested = [threat for threat in _THREATS if _covering(found, threat)]
    return tested, [threat for threat in _THREATS if threat not in tested]
