"""Sections for those who answer for the model: audit plan, compliance map, actions, check list."""

from __future__ import annotations

from collections.abc import Callable

from memory_assets.reports import money_plots
from memory_assets.reports.amounts import amount, input_name, money
from memory_assets.reports.catalogue import Catalogue
from memory_assets.reports.coverage import covered_threats
from memory_assets.reports.decision import decision_sentence
from memory_assets.reports.inputs import ActionLine, ReportInput
from memory_assets.reports.markup import Html, bullets, el, join, picture
from memory_assets.reports.summary import sentence
from memory_assets.reports.tables import count, table
from memory_assets.risk.plan import AuditPlan
from memory_assets.risk.report import RiskReport

_EVIDENCE, _PARTLY, _NONE, _NOT_HERE = "evidence", "partly", "none", "not_applicable"
_SETTING = {"classifier": "pool.pairs", "language_model": "probes.texts"}
"""Where a subject's YAML says how deep its audit is, by kind of model."""


def _why(plan: AuditPlan, risk: RiskReport, t: Catalogue) -> str:
    if len(risk.options) == 1:
        return t("plan.nothing_to_do")
    if plan.depth:
        return t("plan.worthwhile", probes=count(plan.depth))
    return t("plan.no_change" if plan.evpi <= 0 else "plan.too_dear")


def _when(plan: AuditPlan, risk: RiskReport, t: Catalogue) -> str:
    if plan.between is None:
        return t("plan.no_cadence")
    hazard = next(line.mean for line in risk.inputs if line.name == "decision.leak_hazard")
    probes, months = count(plan.between.probes), amount(12 * plan.between.years, t)
    said = t("plan.cadence", hazard=amount(hazard, t), probes=probes, months=months)
    return said if plan.depth else said + t("form.gap") + t("plan.two_questions")


def _how_many(plan: AuditPlan, t: Catalogue) -> str:
    """What a new release asks for, and how many audits a release that comes to."""
    if not plan.audits_per_release:
        return t("plan.only_by_policy")
    said = t("plan.every_release" if plan.depth else "plan.not_every_release")
    per_release = t("plan.per_release", audits=amount(plan.audits_per_release, t))
    return said + t("form.gap") + per_release


def _depth(found: ReportInput, plan: AuditPlan, t: Catalogue) -> str:
    """The depth that was run beside the planned one, and who has to act on it."""
    ran = count(found.risk.probes) if found.risk else ""
    planned = []
    if plan.depth:
        planned.append(t("plan.at_a_release", probes=count(plan.depth)))
    if plan.between:
        planned.append(t("plan.between_releases", probes=count(plan.between.probes)))
    if not planned:
        return t("plan.depth_open", ran=ran)
    said = t("plan.depth", ran=ran, planned=t("form.separator").join(planned))
    advice = t("plan.depth_is_advice", setting=_SETTING[found.bundle.audit.kind])
    return said + t("form.gap") + advice


def audit_plan(found: ReportInput, t: Catalogue) -> Html | None:
    """What the next audits are worth, how deep and how often they should be."""
    risk = found.risk
    if risk is None or not risk.priced:
        return None
    if risk.plan is None:
        return el("p", t("plan.none"))
    plan, currency = risk.plan, risk.currency
    rows = [
        [count(d.probes), *(money(x, currency, t) for x in (d.evsi, d.cost, d.net))]
        for d in plan.depths
    ]
    headers = [t(f"column.{c}") for c in ("probes", "evsi", "cost", "net")]
    best = {k: t.name("option", getattr(plan, f"best_{k}")) for k in ("today", "if_leaking")}
    drawn = None
    if any(d.evsi > 0 for d in plan.depths):
        svg = money_plots.audit_worth(plan.depths, currency, t)
        drawn = picture(svg, t("plan.alt", reason=_why(plan, risk, t)), t("plan.caption"))
    due = t("plan.next", date=found.next_audit.isoformat()) if found.next_audit else None
    return join(
        el("p", t("plan.intro")),
        bullets(
            t("plan.choices", **best),
            _why(plan, risk, t),
            t("plan.evpi", value=money(plan.evpi, currency, t)),
            _when(plan, risk, t),
            _how_many(plan, t),
            _depth(found, plan, t),
            due,
        ),
        table("depths", t("plan.table"), headers, rows),
        drawn,
    )


def _signed(found: ReportInput) -> bool:
    """Whether somebody signed this very audit, and not other weights of the same name."""
    return any(
        a.kind == "sign-off" and a.status == "done" and a.of_this_audit for a in found.actions
    )


def _sign_off_status(action: ActionLine, found: ReportInput) -> str:
    same_name = action.model_version == found.bundle.audit.model_version
    superseded = same_name and not action.of_this_audit and action.status == "done"
    return "earlier" if superseded else action.status


def _measured(found: ReportInput, *families: str) -> bool:
    there = {m.family for m in found.bundle.measurements if m.estimate.status != "not_run"}
    return set(families) <= there


def _generative(found: ReportInput) -> bool:
    return found.bundle.audit.kind == "language_model"


def _attacked(found: ReportInput) -> str:
    tested, untested = covered_threats(found)
    if not tested:
        return _NONE
    return _PARTLY if untested else _EVIDENCE


def _reproduced(found: ReportInput) -> str:
    if not _generative(found):
        return _NOT_HERE
    return _PARTLY if _measured(found, "extraction") else _NONE


def _all_or_part(*families: str) -> Callable[[ReportInput], str]:
    def state(found: ReportInput) -> str:
        return _PARTLY if _measured(found, *families) else _NONE

    return state


_MAP: dict[str, Callable[[ReportInput], str]] = {
    "edpb_46": lambda found: _EVIDENCE if found.profile else _NONE,
    "edpb_55": _attacked,
    "edpb_58": lambda found: _EVIDENCE if _signed(found) else _PARTLY,
    "nist_600": _all_or_part("membership"),
    "iso_42001": lambda found: _EVIDENCE if _signed(found) else _PARTLY,
    "ai_act_10": lambda _: _PARTLY,
    "ai_act_15": _all_or_part("membership", "utility"),
    "ai_act_53": _reproduced,
    "japan_guidelines": _all_or_part("membership"),
    "japan_aisi": _all_or_part("membership"),
}


def compliance(found: ReportInput, t: Catalogue) -> Html:
    """Which evidence here speaks to which provision; that any is complied with is never said."""
    withheld = found.bundle.audit.verdict == "insufficient evidence"
    rows = []
    for name, state in _MAP.items():
        word = t("state.withheld") if withheld else t(f"state.{state(found)}")
        evidence = t(f"provision.{name}_evidence")
        if name == "edpb_46" and found.profile:
            release = t(f"release.{found.profile.exposure.release}")
            evidence = t("provision.release", release=release)
        if name == "edpb_55":
            tested, untested = covered_threats(found)
            sides = {"tested": tested, "untested": untested}
            named = {side: [t(f"threat.{n}") for n in names] for side, names in sides.items()}
            said = {side: t("form.separator").join(n) or "–" for side, n in named.items()}
            evidence = t("provision.threats", **said)
        rows.append([t(f"provision.{name}"), word, t(f"provision.{name}_asks"), evidence])
    headers = [t(f"column.{c}") for c in ("provision", "state", "asks", "evidence")]
    return join(
        el("p", t("compliance.intro")),
        table("compliance-map", t("compliance.table"), headers, rows, words=2),
        el("p", t("compliance.open")),
    )


def actions(found: ReportInput, t: Catalogue) -> Html:
    """Corrective actions with their owners, and who signed this version off."""
    rows = [
        [
            a.description,
            a.model_version,
            a.owner,
            t(f"action.{a.status}"),
            a.due_on.isoformat() if a.due_on else "–",
            a.recorded_on.isoformat(),
        ]
        for a in found.actions
        if a.kind == "corrective action"
    ]
    signed = [
        [
            a.owner,
            a.model_version,
            t(f"signoff.{_sign_off_status(a, found)}"),
            a.recorded_on.isoformat(),
            a.description,
        ]
        for a in found.actions
        if a.kind == "sign-off"
    ]
    columns = ("action", "version", "owner", "status", "due_on", "recorded_on")
    heads = ("signed_by", "version", "status", "recorded_on", "remark")
    listed = [t(f"column.{c}") for c in columns]
    signers = [t(f"column.{c}") for c in heads]
    return join(
        el("h3", t("action.heading")),
        table("actions-table", t("action.heading"), listed, rows)
        if rows
        else el("p", t("action.none")),
        el("h3", t("signoff.heading")),
        table("signoff-table", t("signoff.heading"), signers, signed, words=1) if signed else None,
        None if _signed(found) else el("p", t("signoff.none")),
        el("p", t("action.how")),
    )


def checklist(found: ReportInput, t: Catalogue) -> Html:
    """For the next meeting: what can be said as it stands, and what to ask."""
    say = [sentence(found, t)]
    ask = t.under("ask.")
    if found.risk is not None:
        say.append(decision_sentence(found, t))
        first = [input_name(s.name, t) for s in found.risk.tornado[:3]]
        if first:
            ask = [t("checklist.inputs", inputs=t("form.separator").join(first)), *ask]
    if found.next_audit:
        say.append(t("checklist.next", date=found.next_audit.isoformat()))
    return join(
        el("h3", t("checklist.say")),
        bullets(*say),
        el("h3", t("checklist.ask")),
        bullets(*ask),
    )
