"""The first screen of a report: the verdict in one sentence, what it means, what to do now."""

from __future__ import annotations

from memory_assets.reports.catalogue import Catalogue
from memory_assets.reports.coverage import not_run_rows
from memory_assets.reports.decision import decision
from memory_assets.reports.extraction import RECITED, TIER
from memory_assets.reports.findings import (
    change,
    family,
    gate_rows,
    headline,
    memorization,
    resolved,
)
from memory_assets.reports.inputs import ReportInput
from memory_assets.reports.markup import Html, bullets, el, join
from memory_assets.reports.tables import chosen, count, number, percent
from memory_assets.reports.translated import translated
from memory_assets.results.estimate import Measurement
from memory_assets.results.metrics import rate_of

SYMBOLS = {"pass": "✓", "fail": "✕", "inconclusive": "?", "insufficient": "!", "unlimited": "–"}


def verdict_key(verdict: str) -> str:
    """The catalogue's word for a verdict of the history."""
    return "insufficient" if verdict == "insufficient evidence" else verdict


def _state(found: ReportInput) -> str:
    """The verdict of the audit; without limits there is none to speak of."""
    key = verdict_key(found.bundle.audit.verdict)
    return "unlimited" if key == "inconclusive" and not found.gate else key


def _per(base: int, rate: float) -> str:
    """How many in `base`: one decimal only where whole numbers would say too little."""
    hits = rate * base
    return f"{hits:.1f}".removesuffix(".0") if hits < 3 else f"{hits:.0f}"


def finding(top: Measurement | None, t: Catalogue) -> str:
    """The headline as the second half of a sentence, in whole records."""
    if top is None or top.estimate.value is None:
        return t("finding.none")
    rate = rate_of(top.metric)
    if rate is None:
        return t("finding.auc", hits=_per(100, top.estimate.value))
    base = max(100, round(1 / rate))
    values = {"base": count(base), "false": _per(base, rate)}
    if top.estimate.value * base < 1:
        return t("finding.rate_none", **values)
    return t("finding.rate", hits=_per(base, top.estimate.value), **values)


def _decisive(found: ReportInput) -> Measurement | None:
    """What the first limit that decided the verdict was held against, if it has a value."""
    verdict = found.bundle.audit.verdict
    decided = [row.row for row in gate_rows(found) if row.outcome == verdict and row.row]
    return next(iter(resolved(decided)), None)


def _spoken(found: ReportInput) -> Measurement | None:
    """The attack that the page speaks of: the one that decided, else the headline."""
    decisive = _decisive(found)
    if decisive is not None and rate_of(decisive.metric) is not None:
        return decisive
    return headline(found)


def _recital(found: ReportInput, t: Catalogue) -> tuple[str, str] | None:
    """What the model recites and how surely, where that decided the verdict."""
    row = _decisive(found)
    what = RECITED.get(row.metric) if row is not None else None
    if row is None or what is None:
        return None
    estimate, tier = row.estimate, row.stratum.removeprefix(TIER)
    which = t("finding.seen", times=tier) if tier != row.stratum else ""
    values = {"n": count(estimate.n), "which": which}
    if estimate.value:
        said = t(f"finding.{what}", hits=_per(100, estimate.value), **values)
    else:
        said = t(f"finding.{what}_none", **values)
    low, high = (number(row.metric, end or 0.0) for end in (estimate.ci_low, estimate.ci_high))
    return said, t("meaning.recited", low=low, high=high, **values)


def sentence(found: ReportInput, t: Catalogue) -> str:
    """The verdict, to be read aloud."""
    audit, controls = found.bundle.audit, found.bundle.controls
    who = {"name": found.name, "version": audit.model_version}
    key = _state(found)
    if key == "insufficient":
        failed = sum(not c.passed for c in controls)
        if not failed:
            return t("verdict.insufficient_plain", **who)
        return t("verdict.insufficient", failed=failed, total=len(controls), **who)
    recital = _recital(found, t)
    return t(f"verdict.{key}", finding=recital[0] if recital else finding(_spoken(found), t), **who)


def _strength(top: Measurement, t: Catalogue) -> str | None:
    """The headline's interval, against what blind guessing reaches."""
    estimate, rate = top.estimate, rate_of(top.metric)
    chance = 0.5 if rate is None else rate
    if estimate.value is None or estimate.ci_low is None or estimate.ci_high is None:
        return None
    ends = {
        k: number(top.metric, v) for k, v in (("low", estimate.ci_low), ("high", estimate.ci_high))
    }
    text = t("meaning.interval", n=count(estimate.n), chance=chosen(chance), **ends)
    if estimate.ci_low <= chance:
        return text + t("form.gap") + t("meaning.chance_like")
    if rate is None:
        return text
    lift = estimate.value / chance
    lift_shown = count(round(lift)) if lift >= 10 else f"{lift:.2g}"
    return text + t("form.gap") + t("meaning.lift", lift=lift_shown)


def _memorized(found: ReportInput, t: Catalogue) -> str | None:
    records = memorization(found)
    if records is None:
        return None
    total = count(len(records.record_ids))
    clear, kind = int(records.clear.sum()), found.bundle.audit.kind
    if not clear:
        return t(f"meaning.memorized_none_{kind}", total=total)
    return t(f"meaning.memorized_{kind}", clear=count(clear), total=total)


def _utility(found: ReportInput, t: Catalogue) -> str | None:
    for m in family(found, "utility"):
        if "accuracy" in m.metric and "held_out" in (
            m.name,
            m.stratum,
            m.metric.removesuffix("_accuracy"),
        ):
            return (
                None
                if m.estimate.value is None
                else t("meaning.utility", value=percent(m.estimate.value))
            )
    return None


def _change(found: ReportInput, t: Catalogue) -> str | None:
    moved, top = change(found), headline(found)  # versions are compared at the same rate
    if moved is None or top is None:
        return None
    before, now = number(top.metric, moved.before), number(top.metric, moved.now)
    return t(f"meaning.{moved.direction}", version=moved.version, before=before, now=now)


def _controls(found: ReportInput, t: Catalogue) -> str | None:
    controls = found.bundle.controls
    if not controls:
        return t("control.none")
    failed = [t.name("control.name", c.control) for c in controls if not c.passed]
    if failed:
        return t("meaning.controls_fail", failed=t("form.separator").join(failed))
    return t("meaning.controls_pass", passed=len(controls), total=len(controls))


def _meaning(found: ReportInput, t: Catalogue) -> Html:
    skipped = len(not_run_rows(found, t))
    validity = [_controls(found, t), t("meaning.not_run", count=skipped) if skipped else None]
    if found.bundle.audit.verdict == "insufficient evidence":
        # Figures that must not be relied on mean nothing yet.
        return bullets(*validity)
    top, recital = _spoken(found), _recital(found, t)
    strength = _strength(top, t) if top else None
    if recital and top:
        beside = t("meaning.beside", finding=finding(top, t))
        strength = t("form.gap").join(filter(None, (beside, strength)))
    return bullets(
        recital[1] if recital else None,
        strength,
        _memorized(found, t),
        _utility(found, t),
        _change(found, t),
        *validity,
    )


def _declared(found: ReportInput, t: Catalogue) -> Html | None:
    """What the owner declared of the attacker, which bounds all that the page says."""
    declared = [f for f in found.bundle.audit.findings if f.key == "verdict.declared"]
    return el("p", *translated(declared, t)) if declared else None


def summary(found: ReportInput, t: Catalogue) -> Html:
    """Everything a manager needs, above the fold."""
    key = _state(found)
    label = join(el("span", SYMBOLS[key], aria_hidden="true"), " ", t(f"verdict.label_{key}"))
    return join(
        el(
            "div",
            _declared(found, t),
            el("p", label, class_="chip"),
            el("p", sentence(found, t), class_="sentence"),
            class_=f"verdict {key}",
        ),
        decision(found, t),
        el("h2", t("meaning.heading"), id="meaning"),
        _meaning(found, t),
        el("h2", t("next.heading"), id="next"),
        bullets(*t.under(f"next.{key}_")),
    )
