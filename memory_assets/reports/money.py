"""Sections on money: value against risk, the chain of the loss, the options, insurance."""

from __future__ import annotations

from memory_assets.reports import money_plots
from memory_assets.reports.amounts import amount, input_name, money, of, ranged, shown
from memory_assets.reports.catalogue import Catalogue
from memory_assets.reports.decision import appetite, least_loss, recommended, why_unpriced
from memory_assets.reports.findings import family, headline, resolved
from memory_assets.reports.inputs import ReportInput
from memory_assets.reports.markup import Html, el, join, picture
from memory_assets.reports.tables import count, estimate_cell, metric_label, percent, table
from memory_assets.results.estimate import Measurement
from memory_assets.risk.describe import InputLine
from memory_assets.risk.options import AS_IS
from memory_assets.risk.profile import Profile
from memory_assets.risk.report import RiskReport

_SWINGS = 8
_KINDS: dict[str, tuple[tuple[str, str], ...]] = {
    "verbatim": (("extraction", "extraction_rate"), ("memorization", "share_above_0.25")),
    "confidential": (("extraction", "secret_extraction_rate"), ("membership", "")),
    "knowledge": (("utility", "held_out_accuracy"), ("memorization", "held_out_gain")),
}
"""Kinds of memorization and the measurements that speak of each; "" stands for the headline."""


def _speaking(found: ReportInput, kind: str) -> list[Measurement]:
    rows = []
    for name, metric in _KINDS[kind]:
        if not metric:
            rows += [top] if (top := headline(found)) else []
            continue
        own = [m for m in resolved(family(found, name)) if m.metric == metric]
        rows += [m for m in own if m.stratum == "all"][:1]
    return rows


def _kinds(found: ReportInput, t: Catalogue) -> Html:
    """The three kinds of memorization side by side, never blended into one index."""
    rows = []
    for kind in _KINDS:
        measured = _speaking(found, kind)
        for m in measured:
            cells = [metric_label(m.metric, t), estimate_cell(m.metric, m.estimate, t)]
            rows.append([t(f"kind.{kind}"), *cells, t(f"kind.{kind}_means")])
        if not measured:
            rows.append([t(f"kind.{kind}"), "–", t("status.not_run"), t(f"kind.{kind}_means")])
    headers = [t(f"column.{c}") for c in ("kind", "metric", "value", "means")]
    return join(
        el("h3", t("kind.heading")), table("kinds", t("kind.table"), headers, rows, words=1)
    )


def _held_out(risk: RiskReport, profile: Profile, t: Catalogue) -> str:
    """On what the value rests: the metric on unseen cases, beside today's."""
    today = percent(profile.value.baseline.mean)
    if risk.held_out is None or risk.held_out.value is None:
        trial = profile.value.poc_gain is not None
        return t("value.from_trial" if trial else "value.unmeasured")
    shown = estimate_cell("held_out_accuracy", risk.held_out, t)
    return t("value.measured", value=shown, n=count(risk.held_out.n), today=today)


def value_against_risk(found: ReportInput, t: Catalogue) -> Html:
    """What the model earns on unseen cases beside what its leaks may cost."""
    risk, profile = found.risk, found.profile
    if risk is None or profile is None or not risk.priced:
        return join(el("p", t(why_unpriced(found))), _kinds(found, t))
    as_is, currency = risk.options[0], risk.currency
    rows = [
        [t("value.earned"), shown(as_is.value, currency, t), t(f"basis.{as_is.value.basis}")],
        [
            t("value.lost"),
            shown(as_is.expected_loss, currency, t),
            t(f"basis.{as_is.expected_loss.basis}"),
        ],
    ]
    for key in ("memorized_value", "training_gain"):
        figure = getattr(risk, key)
        if figure is not None:
            rows.append([t(f"value.{key}"), shown(figure, currency, t), t(f"basis.{figure.basis}")])
    headers = [t("column.quantity"), t("column.a_year"), t("column.basis")]
    kpi = {"kpi": t.name("kpi", profile.value.kpi), "metric": t.name("kpi", profile.value.metric)}
    return join(
        el("p", t("value.intro", **kpi)),
        el("p", _held_out(risk, profile, t)),
        table("value-table", t("value.table"), headers, rows),
        el("p", t("value.note" if risk.memorized_value else "value.memorized_unmeasured")),
        _kinds(found, t),
    )


def _chain(risk: RiskReport, t: Catalogue) -> Html:
    """From the measured rate to the loss of a year, step by step, for the model as it is."""
    as_is = risk.options[0]
    steps = [
        ("leak_rate", as_is.leak_rate),
        ("membership_rate", as_is.membership_rate),
        ("ppv", risk.membership_ppv),
        ("exposed_records", as_is.exposed_records),
        ("leaks", as_is.leaks),
        ("incidents", as_is.incidents),
        ("incident_probability", as_is.incident_probability),
        ("expected_loss", as_is.expected_loss),
        ("var99", as_is.var99),
        ("cvar95", as_is.cvar95),
    ]
    rows = [
        [
            t(f"step.{name}"),
            t("losses.unmeasured") if figure.value is None else shown(figure, risk.currency, t),
            t(f"interval.{figure.interval}"),
            "–" if figure.value is None else t(f"basis.{figure.basis}"),
        ]
        for name, figure in steps
        if figure is not None
    ]
    headers = [t(f"column.{c}") for c in ("step", "value", "range", "basis")]
    return table("chain", t("losses.chain_table"), headers, rows)


def _source(line: InputLine, found: ReportInput, t: Catalogue) -> str:
    if not line.source:
        return "–"
    listed = {s.id: s.title for s in found.profile.sources} if found.profile else {}
    title = t.texts.get(f"source.{line.source}", listed.get(line.source, line.source))
    key = "losses.verified" if line.verified else "losses.unverified"
    return t("form.noted", value=title, note=t(key))


def _inputs(found: ReportInput, risk: RiskReport, t: Catalogue) -> Html:
    rows = []
    for line in risk.inputs:
        if line.name.startswith("options."):
            continue
        unit = line.unit.replace(risk.currency, "money")
        numbers = line.mean, line.low, line.high
        ends = ranged(*numbers, line.unit, risk.currency, t, "interval")
        if line.low == line.high and unit.startswith("money") and 0 < line.mean < 1:
            # What someone stated is shown as it is, however little; 7.5 of a cent add up.
            name = t.name("currency", risk.currency)
            ends = t("amount.money", amount=amount(line.mean, t), currency=name)
        basis = t(f"basis.{line.basis}")
        basis = (
            t("form.noted", value=basis, note=t("losses.defaulted")) if line.defaulted else basis
        )
        rows.append(
            [input_name(line.name, t), ends, t.name("unit", unit), basis, _source(line, found, t)]
        )
    headers = [t(f"column.{c}") for c in ("input", "mean_range", "unit", "basis", "source")]
    return table("inputs", t("losses.inputs_table"), headers, rows, words=1)


def _exceedance(risk: RiskReport, t: Catalogue) -> Html | None:
    """Loss exceedance before and after; nothing to draw where no simulated year lost anything."""
    other = recommended(risk) if recommended(risk).name != AS_IS.name else least_loss(risk)
    chosen = dict.fromkeys((risk.options[0], other))
    curves = [(t.name("option", o.name), o.exceedance) for o in chosen if o.exceedance]
    if not curves:
        return None
    names = t("form.separator").join(name for name, _ in curves)
    limit = appetite(risk)
    svg = money_plots.exceedance(curves, limit, risk.currency, t)
    alt = t("losses.exceedance_alt", options=names, limit=money(limit, risk.currency, t))
    return picture(svg, alt, t("losses.exceedance_caption"))


def losses(found: ReportInput, t: Catalogue) -> Html | None:
    """The loss chain with the ground and source of every input, and what drives the result."""
    risk = found.risk
    if risk is None or not risk.priced:
        return None
    swings = risk.tornado[:_SWINGS]
    drawn = None
    if swings:
        first = t("form.separator").join(input_name(s.name, t) for s in swings[:3])
        svg = money_plots.tornado(swings, risk.currency, t)
        alt, caption = t("losses.tornado_alt", first=first), t("losses.tornado_caption")
        drawn = join(el("h3", t("losses.tornado_heading")), picture(svg, alt, caption))
    return join(
        el("p", t("losses.intro", years=count(risk.years))),
        _chain(risk, t),
        _exceedance(risk, t),
        drawn,
        el("h3", t("losses.inputs_heading")),
        el("p", t("losses.inputs_intro")),
        _inputs(found, risk, t),
    )


def options_compared(found: ReportInput, t: Catalogue) -> Html | None:
    """What could be done, all in one run on the same random numbers."""
    risk = found.risk
    if risk is None or risk.gate is None:
        return None
    met, currency = dict(risk.gate.by_option), risk.currency
    loss, returns = [], []
    for option in risk.options:
        name = t.name("option", option.name)
        ground = t("options.measured" if option.measured else "options.declared")
        figures = (option.leaks, option.expected_loss, option.retained_cvar95, option.value)
        cells = [shown(figure, currency, t, "stacked") for figure in figures]
        loss.append([name, ground, *cells, shown(option.cost, currency, t, "stacked")])
        gate = t("options.meets" if met[option.name] else "options.fails")
        returns.append(
            [
                name,
                shown(option.npv, currency, t, "stacked"),
                percent(option.npv_positive.value or 0.0),
                "–"
                if option.name == AS_IS.name
                else shown(option.npv_of_option, currency, t, "stacked"),
                of(option.rosi, currency, t),
                of(option.payback, currency, t),
                of(option.break_even_queries, currency, t),
                gate,
            ]
        )
    first = ("option", "ground", "leaks", "expected_loss", "cvar95", "value_a_year", "cost_a_year")
    second = ("option", "npv", "npv_positive", "adds", "rosi", "payback", "pays_from", "gate")
    asked = next(line.mean for line in risk.inputs if line.name == "exposure.queries")
    efficient = {point.option for point in risk.frontier if point.efficient}
    drawn = None
    if risk.options[0].value.value is not None:
        svg = money_plots.frontier(risk.options, efficient, currency, t)
        names = t("form.separator").join(t.name("option", o) for o in sorted(efficient))
        drawn = picture(svg, t("options.frontier_alt", names=names), t("options.frontier_caption"))
    return join(
        el("p", t("options.intro", years=risk.horizon)),
        table("options-risk", t("options.table"), [t(f"column.{c}") for c in first], loss),
        el("p", t("options.declared_note")),
        table("options-return", t("options.returns"), [t(f"column.{c}") for c in second], returns),
        el("p", t("options.pays_from", queries=amount(asked, t))),
        drawn,
    )


def insurance(found: ReportInput, t: Catalogue) -> Html | None:
    """What the policy takes over, and the total cost of risk under every option."""
    risk = found.risk
    if risk is None or not risk.priced:
        return None
    terms = {line.name: line for line in risk.inputs if line.name.startswith("transfer.")}
    rows = []
    for name, line in terms.items():
        share = name == "transfer.cover"
        shown_value = percent(line.mean) if share else money(line.mean, risk.currency, t)
        rows.append([input_name(name, t), shown_value, t(f"basis.{line.basis}")])
    cost = [
        [
            t.name("option", o.name),
            shown(o.expected_loss, risk.currency, t, "stacked"),
            shown(o.retained_loss, risk.currency, t, "stacked"),
            shown(o.cost_of_risk, risk.currency, t, "stacked"),
        ]
        for o in risk.options
    ]
    headers = [t(f"column.{c}") for c in ("term", "value", "basis")]
    columns = [t(f"column.{c}") for c in ("option", "expected_loss", "retained", "cost_of_risk")]
    covered = terms["transfer.cover"].mean > 0
    return join(
        el("p", t("insurance.covered" if covered else "insurance.uncovered")),
        table("terms", t("insurance.terms"), headers, rows),
        el("h3", t("insurance.total_heading")),
        el("p", t("insurance.total_intro")),
        table("cost-of-risk", t("insurance.total"), columns, cost),
    )
