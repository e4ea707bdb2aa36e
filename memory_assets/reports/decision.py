"""Page one in money: go, conditional or stop, in one sentence and eight figures."""

from __future__ import annotations

from memory_assets.reports.amounts import amount, money, of, shown
from memory_assets.reports.catalogue import Catalogue
from memory_assets.reports.inputs import ReportInput
from memory_assets.reports.markup import Html, bullets, el, join
from memory_assets.reports.tables import percent, table
from memory_assets.risk.evidence import INSUFFICIENT
from memory_assets.risk.options import AS_IS
from memory_assets.risk.report import OptionResult, RiskReport

_UNKEPT = {"fail": "decision.limits_broken", "inconclusive": "decision.limits_open"}
_LOOK = {"go": ("✓", "pass"), "conditional": ("?", "inconclusive"), "stop": ("✕", "fail")}


def appetite(risk: RiskReport) -> float:
    """The most that the mean of the worst 5% of years may cost."""
    return next(line.mean for line in risk.inputs if line.name == "decision.appetite")


def recommended(risk: RiskReport) -> OptionResult:
    """The option of the largest present value among those that may go ahead, else among all."""
    met = {name for name, ok in risk.gate.by_option if ok} if risk.gate else set()
    among = [o for o in risk.options if o.name in met] or list(risk.options)
    return max(among, key=lambda o: o.npv.value or 0.0)


def least_loss(risk: RiskReport) -> OptionResult:
    """The option under which the least is expected to be lost."""
    return min(risk.options, key=lambda o: o.expected_loss.value or 0.0)


def why_unpriced(found: ReportInput) -> str:
    """The catalogue's key for why there is no money in this report."""
    if found.bundle.audit.verdict == INSUFFICIENT:
        return "decision.insufficient"
    return "decision.no_profile" if found.risk is None else "decision.nothing_to_price"


def _worth(risk: RiskReport, t: Catalogue) -> str:
    value = risk.options[0].value
    if value.value is None:
        return t("decision.worth_unknown")
    return t("decision.worth", value=of(value, risk.currency, t))


def decision_sentence(found: ReportInput, t: Catalogue) -> str:
    """The decision in money, to be read aloud."""
    risk = found.risk
    if risk is None or risk.gate is None:
        return t(why_unpriced(found))
    return t(
        f"decision.{risk.gate.choice}",
        name=found.name,
        version=found.bundle.audit.model_version,
        worth=_worth(risk, t),
        loss=of(risk.options[0].expected_loss, risk.currency, t),
    )


def _reasons(risk: RiskReport, t: Catalogue) -> list[str]:
    """Why, in the reader's language: the same tests as the gate's own."""
    as_is = risk.options[0]
    value, limit = as_is.value, money(appetite(risk), risk.currency, t)
    if value.value is None:
        said = ["decision.value_unmeasured"]
    elif (value.low or 0.0) > 0:
        said = ["decision.value_positive"]
    else:
        said = ["decision.value_open" if (value.high or 0.0) > 0 else "decision.value_negative"]
    bearable = (as_is.retained_cvar95.value or 0.0) <= appetite(risk)
    said.append("decision.tail_within" if bearable else "decision.tail_above")
    texts = [t(key, limit=limit) for key in said]
    met = [name for name, ok in (risk.gate.by_option if risk.gate else ()) if ok]
    if risk.gate and risk.gate.choice == "conditional" and met:
        names = t("form.separator").join(t.name("option", name) for name in met)
        texts.append(t("decision.met_with", options=names))
        if not any(o.measured for o in risk.options if o.name in met):
            texts.append(t("decision.audit_first"))
    return texts


def _figures(found: ReportInput, risk: RiskReport, t: Catalogue) -> list[list[str]]:
    as_is, best, money_of = risk.options[0], recommended(risk), risk.currency
    after = best if best.name != AS_IS.name else least_loss(risk)
    rows = [[t("decision.loss_now"), shown(as_is.expected_loss, money_of, t)]]
    if after.name != AS_IS.name:
        label = t("decision.loss_after", option=t.name("option", after.name))
        rows.append([label, shown(after.expected_loss, money_of, t)])
    tail = of(as_is.retained_cvar95, money_of, t)
    limit = money(appetite(risk), money_of, t)
    growth = risk.break_even_growth
    earned, left = shown(as_is.value, money_of, t), shown(as_is.npv, money_of, t)
    chance = percent(as_is.npv_positive.value or 0.0)
    grown = t("decision.no_growth")
    if as_is.value.value is None:
        earned = left = chance = grown = t("decision.unmeasured")
    elif growth is not None and growth.value is not None:
        grown = t("decision.growth", times=amount(growth.value, t))
    rows += [
        [t("decision.tail"), t("decision.against", value=tail, limit=limit)],
        [t("decision.value"), earned],
        [t("decision.npv", years=risk.horizon), left],
        [t("decision.npv_positive"), chance],
        [t("decision.break_even"), grown],
    ]
    if best.name != AS_IS.name:
        adds = t(
            "decision.adds",
            option=t.name("option", best.name),
            value=shown(best.npv_of_option, money_of, t),
            years=risk.horizon,
        )
        rows.append([t("decision.best"), adds])
    if found.next_audit:
        rows.append([t("decision.next"), found.next_audit.isoformat()])
    return rows


def decision(found: ReportInput, t: Catalogue) -> Html | None:
    """The decision box of page one; None where the subject asks for no money."""
    risk = found.risk
    if risk is None:
        return None
    heading = el("h2", t("decision.heading"), id="decision")
    if risk.gate is None:
        chip = join(el("span", "!", aria_hidden="true"), " ", t("decision.label_unpriced"))
        body = (el("p", chip, class_="chip"), el("p", t(why_unpriced(found)), class_="sentence"))
        return join(heading, el("div", *body, class_="verdict insufficient"))
    symbol, look = _LOOK[risk.gate.choice]
    label = t(f"decision.label_{risk.gate.choice}")
    unkept = _UNKEPT.get(found.bundle.audit.verdict) if found.gate else None
    if risk.gate.choice == "stop":
        unkept = None
    if unkept:
        # A green light beside a limit that is broken or open would be read as leave to release.
        symbol, look, label = "?", "inconclusive", t("decision.label_money_only", label=label)
    chip = join(el("span", symbol, aria_hidden="true"), " ", label)
    columns = [t("decision.figure"), t("decision.amount")]
    return join(
        heading,
        el(
            "div",
            el("p", chip, class_="chip"),
            el("p", decision_sentence(found, t), class_="sentence"),
            el("p", t(unkept)) if unkept else None,
            class_=f"verdict {look}",
        ),
        bullets(*_reasons(risk, t)),
        table("decision-figures", t("decision.table"), columns, _figures(found, risk, t), words=1),
        el("p", t("decision.ground"), t("form.gap"), t(f"ground.{risk.options[0].npv.basis}")),
    )
