"""Sections on who can be told from outside: limits, attacks, and how leakage moved."""

from __future__ import annotations

from memory_assets.reports import plots
from memory_assets.reports.catalogue import Catalogue
from memory_assets.reports.findings import (
    attacks_withheld,
    family,
    gate_rows,
    headline,
    least_leaks,
    strongest_first,
    trend_rows,
)
from memory_assets.reports.inputs import ReportInput
from memory_assets.reports.markup import Html, bullets, el, join, picture
from memory_assets.reports.tables import (
    chosen,
    count,
    estimate_cell,
    metric_label,
    number,
    percent,
    pivot,
    table,
)
from memory_assets.reports.translated import translated
from memory_assets.results.estimate import Measurement
from memory_assets.results.metrics import rate_of
from memory_assets.risk.evidence import INSUFFICIENT

_EVIDENCE = ("auc", "tpr_at_fpr_0.1", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001", "balanced_accuracy")
_MOST_VERSIONS = 12
_MOST_CURVES = 5


def limits(found: ReportInput, t: Catalogue) -> Html:
    """Each agreed limit with the measurement held against it."""
    rows = gate_rows(found)
    if not rows:
        return el("p", t("limits.none"))
    lines = []
    for row in rows:
        m = row.row
        by = "–" if m is None or m.estimate.value is None else t.name("attack", m.name)
        value = t("status.not_run") if m is None else estimate_cell(row.metric, m.estimate, t)
        form = row.direction.replace(" ", "_")
        limit = t(f"limits.{form}", limit=_limit(row.metric, row.limit))
        label = metric_label(row.metric, t)
        needed = count(row.records_needed) if row.records_needed else "–"
        least = "–" if m is None else _least_cell(found, m, t) or "–"
        lines.append([label, limit, value, least, by, t(f"outcome.{row.outcome}"), needed])
    columns = ("metric", "limit", "measured", "least", "by", "outcome", "needed")
    headers = [t(f"column.{c}") for c in columns]
    told = translated(found.bundle.audit.findings, t)
    withheld = found.bundle.audit.verdict == INSUFFICIENT
    return join(
        el("p", t("limits.intro")),
        table("limits-table", t("section.limits"), headers, lines),
        # Why there is no verdict stands with the checks that failed.
        None if withheld or not told else join(el("h3", t("limits.reason")), bullets(*told)),
    )


def _limit(metric: str, limit: float) -> str:
    return chosen(limit) if number(metric, limit).endswith("%") else f"{limit:g}"


def _attack_rows(found: ReportInput, t: Catalogue) -> list[list[str]]:
    measured = family(found, "membership")
    others = {c.attack: c.n_nonmembers for c in found.curves}
    rows = []
    for name in dict.fromkeys(m.name for m in measured):
        own = {m.metric: m.estimate for m in measured if m.name == name and m.stratum == "all"}
        shown = [metric for metric in _EVIDENCE if metric in own]
        if not shown:
            continue
        members = max((own[m].n for m in shown if rate_of(m)), default=0)
        pair = {"members": count(members), "others": count(others[name]) if name in others else "–"}
        size = t("form.pair", **pair) if members else "–"
        silent = [
            chosen(rate_of(m) or 0) for m in shown if own[m].status == "unresolvable" and rate_of(m)
        ]
        if all(own[m].status == "not_run" for m in shown):
            status = t("status.not_run")
        elif silent:
            status = t("status.partly", rates=t("form.separator").join(silent))
        else:
            status = t("status.ok")
        cells = [estimate_cell(m, own[m], t, "stacked") if m in own else "" for m in _EVIDENCE]
        rows.append([t.name("attack", name), size, *cells, status])
    return rows


def _least_rows(found: ReportInput, t: Catalogue) -> list[list[str]]:
    """What would have been seen of each figure; a line for each sample of the attacks."""
    rows: dict[tuple[str, ...], None] = {}
    measured = [m for m in family(found, "membership") if m.stratum == "all"]
    for name in dict.fromkeys(m.name for m in measured):
        own = {m.metric: m for m in measured if m.name == name}
        cells = [_least_cell(found, own[m], t) if m in own else "" for m in _EVIDENCE]
        if any(cells):
            rows[tuple(cells)] = None
    return [[t("evidence.least"), "", *cells, ""] for cells in rows]


def _least_cell(found: ReportInput, row: Measurement, t: Catalogue) -> str:
    """The least leaks that the sample behind a figure would have shown; "" where none is known."""
    least = least_leaks(found, row)
    if least is None:
        return ""
    few, spread = ("–" if v is None else number(row.metric, v) for v in (least.few, least.spread))
    return few if few == spread else t("form.shapes", few=few, spread=spread)


def _thresholds(found: ReportInput, t: Catalogue) -> Html | None:
    """TPR, FPR reached and PPV at thresholds that were chosen on the shadows."""
    stems = ("tpr_at_shadow_threshold", "fpr_at_shadow_threshold", "ppv")
    measured = family(found, "membership")
    metrics = [x for x in dict.fromkeys(m.metric for m in measured) if x.startswith(stems)]
    if not metrics:
        return None
    return join(
        el("h3", t("evidence.threshold_heading")),
        el("p", t("evidence.threshold_intro")),
        pivot(
            "thresholds",
            t("evidence.threshold_table"),
            measured,
            metrics,
            t,
            group="attack",
            first=t("column.attack"),
        ),
    )


def _agreement(found: ReportInput, t: Catalogue) -> Html | None:
    """How far the strongest attack and each other one point at the same records."""
    overlaps = [m for m in family(found, "membership") if m.metric == "jaccard_of_exposed"]
    if not overlaps:
        return None
    best = strongest_first(found)[0]
    rows = []
    for m in overlaps:
        pair = m.name.split(" & ")
        if len(pair) == 2 and best not in pair:
            continue
        names = [t.name("attack", name) for name in sorted(pair, key=lambda name: name != best)]
        rows.append(
            [" & ".join(names), estimate_cell(m.metric, m.estimate, t), count(m.estimate.n)]
        )
    headers = [t("column.attacks"), t("column.overlap"), t("column.either")]
    return join(
        el("h3", t("evidence.agreement_heading")),
        el("p", t("evidence.agreement_intro")),
        table("agreement", t("evidence.agreement_table"), headers, rows),
    )


def _roc(found: ReportInput, t: Catalogue) -> Html | None:
    if not found.curves:
        return None
    top = headline(found)
    best = ""
    if top is not None and top.estimate.value is not None:
        value = number(top.metric, top.estimate.value)
        label = metric_label(top.metric, t)
        attack = t.name("attack", top.name)
        best = t("evidence.roc_best", attack=attack, metric=label, value=value)
    order = strongest_first(found)
    known = [c for c in found.curves if c.attack in order]
    curves = sorted(known, key=lambda c: order.index(c.attack))[:_MOST_CURVES]
    alt = t("evidence.roc_alt", count=len(curves), best=best)
    return picture(plots.roc(curves, t), alt, t("evidence.roc_caption"))


def evidence(found: ReportInput, t: Catalogue) -> Html:
    """Every attack with its rates and intervals, and the ROC."""
    rows = _attack_rows(found, t)
    if not rows:
        return el("p", t("evidence.none"))
    least = _least_rows(found, t)
    headers = [t("column.attack"), t("column.records")]
    headers += [metric_label(m, t) for m in _EVIDENCE] + [t("column.status")]
    return join(
        el("p", t("evidence.intro")),
        el("p", t("evidence.withheld")) if attacks_withheld(found) else None,
        table("attacks", t("evidence.table"), headers, [*rows, *least], words=1),
        el("p", t("evidence.least_intro")) if least else None,
        _roc(found, t),
        _thresholds(found, t),
        _agreement(found, t),
    )


def history(found: ReportInput, t: Catalogue) -> Html | None:
    """The headline metric over the versions, as a plot with intervals and as a heat map."""
    top = headline(found)
    if top is None:
        return None
    rows = trend_rows(found, top.metric)
    versions = list(dict.fromkeys(row["model_version"] for row in rows))[-_MOST_VERSIONS:]
    if len(versions) < 2:
        return None
    by = {(row["model_version"], row["attack"]): row for row in rows}
    now = found.bundle.audit.model_version
    attacks = [a for a in strongest_first(found) if (now, a) in by]
    chance, label = rate_of(top.metric) or 0.5, metric_label(top.metric, t)
    return join(
        _by_version(by, versions, attacks, chance, label, t),
        heat_figure(by, versions, attacks, chance, label, "history", t),
    )


def _by_version(
    by: dict, versions: list[str], attacks: list[str], chance: float, label: str, t: Catalogue
) -> Html:
    series = [
        plots.Series(
            t.name("attack", attack),
            tuple(
                plots.Point(v, *(by[v, attack][k] for k in ("value", "ci_low", "ci_high")))
                for v in versions
                if (v, attack) in by
            ),
        )
        for attack in attacks[:3]
    ]
    points = t("form.separator").join(
        t("history.point", version=p.version, attack=series[0].label, value=percent(p.value))
        for p in series[0].points
        if p.value is not None
    )
    svg = plots.leakage_by_version(series, chance, label, t)
    caption = t("history.caption", metric=label)
    return picture(svg, t("history.alt", metric=label, points=points), caption)


def heat_figure(
    by: dict,
    lines: list[str],
    attacks: list[str],
    chance: float,
    label: str,
    group: str,
    t: Catalogue,
) -> Html:
    """The heat map of rows `by[line, attack]`; `group` is where its words are kept."""
    empty = {"value": None, "ci_low": None}
    cells = []
    for line in lines:
        found = [by.get((line, attack), empty) for attack in attacks]
        cells.append([plots.Cell(c["value"], (c["ci_low"] or 0) > chance) for c in found])
    svg = plots.heat_map(lines, [t.name("attack", a) for a in attacks], cells, t)
    alt = t(f"{group}.heat_alt", metric=label)
    return picture(svg, alt, t(f"{group}.heat_caption", metric=label), wide=True)
