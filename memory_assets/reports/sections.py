"""The sections of a report, one function each; a section without anything to show is None."""

from __future__ import annotations

import numpy as np

from memory_assets.reports import plots
from memory_assets.reports.catalogue import Catalogue
from memory_assets.reports.findings import (
    MEMORIZED,
    Memorization,
    family,
    gate_rows,
    headline,
    memorization,
    rate_of,
    resolved,
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
    pivot,
    table,
)
from memory_assets.statistics.estimate import Measurement

_EVIDENCE = ("auc", "tpr_at_fpr_0.1", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001", "balanced_accuracy")
_MOST_EXPOSED = 12
_MOST_VERSIONS = 12
_MOST_CURVES = 5


def limits(found: ReportInput, t: Catalogue) -> Html:
    """Each agreed limit with the measurement held against it."""
    rows = gate_rows(found)
    if not rows:
        return el("p", t("limits.none"))
    lines = []
    for row in rows:
        m = row.measured
        by = "–" if m is None or m.estimate.value is None else t.name("attack", m.name)
        value = t("status.not_run") if m is None else estimate_cell(row.metric, m.estimate, t)
        limit = t("limits.at_most", limit=_limit(row.metric, row.limit))
        label = metric_label(row.metric, t)
        lines.append([label, limit, value, by, t(f"outcome.{row.outcome}")])
    headers = [t(f"column.{c}") for c in ("metric", "limit", "measured", "by", "outcome")]
    return join(
        el("p", t("limits.intro")), table("limits-table", t("section.limits"), headers, lines)
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
        members = max(own[m].n for m in shown)
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
    headers = [t("column.attack"), t("column.records")]
    headers += [metric_label(m, t) for m in _EVIDENCE] + [t("column.status")]
    return join(
        el("p", t("evidence.intro")),
        table("attacks", t("evidence.table"), headers, rows),
        _roc(found, t),
        _thresholds(found, t),
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
    by = {(row["model_version"], row["name"]): row for row in rows}
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
        t("history.point", version=p.version, attack=series[0].label, value=number("rate", p.value))
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
    """The heat map of rows `by[line, attack]`; `group` is where its alt text is kept."""
    empty = {"value": None, "ci_low": None}
    cells = []
    for line in lines:
        found = [by.get((line, attack), empty) for attack in attacks]
        cells.append([plots.Cell(c["value"], (c["ci_low"] or 0) > chance) for c in found])
    svg = plots.heat_map(lines, [t.name("attack", a) for a in attacks], cells, t)
    alt = t("history.heat_alt" if group == "history" else "portfolio.heat_alt", metric=label)
    return picture(svg, alt, t("history.heat_caption", metric=label))


def _quadrant(records: Memorization, t: Catalogue) -> Html | None:
    known = np.isfinite(records.influence)
    if not known.any():
        return None
    value, influence = records.value[known], records.influence[known]
    kept = value >= MEMORIZED
    useful = int((kept & (influence > 0)).sum())
    alt = t("memorization.quadrant_alt", useful=useful, leak=int(kept.sum()) - useful)
    svg = plots.quadrant(value, influence, MEMORIZED, t)
    return picture(svg, alt, t("memorization.quadrant_caption"))


def _exposed(records: Memorization, t: Catalogue) -> Html:
    top = min(_MOST_EXPOSED, len(records.record_ids))
    known = bool(np.isfinite(records.influence[:top]).any())
    rows = []
    for i in range(top):
        value, low, high = (number("", a[i]) for a in (records.value, records.low, records.high))
        row = [records.record_ids[i], t("form.interval", value=value, low=low, high=high)]
        if known:
            row.append(
                f"{records.influence[i]:+.4f}".replace("-", "−")
                if np.isfinite(records.influence[i])
                else "–"
            )
        rows.append(row)
    headers = [t("column.record"), t("column.memorization")]
    headers += [t("column.influence")] if known else []
    return join(
        el("h3", t("memorization.exposed_heading")),
        el("p", t("memorization.exposed_intro", count=top)),
        table("exposed", t("memorization.exposed_table"), headers, rows),
    )


def memorization_section(found: ReportInput, t: Catalogue) -> Html | None:
    """Totals, the histogram, the quadrant where influence is known, and the most exposed ids."""
    records, measured = memorization(found), family(found, "memorization")
    if records is None and not measured:
        return None
    parts = [el("p", t("memorization.intro")), _value_table("memorization", measured, t)]
    if records is not None:
        strong = int((records.value >= MEMORIZED).sum())
        counts = {
            "total": count(len(records.value)),
            "clear": int(records.clear.sum()),
            "strong": strong,
        }
        svg = plots.memorization_histogram(records.value, records.clear, t)
        alt = t("memorization.histogram_alt", **counts)
        parts.append(picture(svg, alt, t("memorization.histogram_caption")))
        parts += [_quadrant(records, t), _exposed(records, t)]
    return join(*parts)


def _value_table(group: str, measured: list[Measurement], t: Catalogue) -> Html | None:
    """One row a measurement, for families whose measurements share no metrics."""
    if not measured:
        return None
    rows = []
    for m in measured:
        label = metric_label(m.metric, t)
        details = [t.name("estimator", m.name)] if m.name != m.metric else []
        details += [] if m.stratum == "all" else [t.name("stratum", m.stratum)]
        for detail in details:
            label = t("form.noted", value=label, note=detail)
        size = count(m.estimate.n) if m.estimate.n else "–"
        rows.append([label, estimate_cell(m.metric, m.estimate, t), size])
    headers = [t("column.quality" if group == "utility" else "column.metric")]
    headers += [t("column.value"), t("column.n")]
    key = f"{group}.summary_table" if group == "memorization" else f"{group}.table"
    return table(f"{group}-values", t(key), headers, rows)


def information(found: ReportInput, t: Catalogue) -> Html | None:
    """Bounds with their value under shuffled membership beside them."""
    return _pivoted("information", found, t)


def epsilon(found: ReportInput, t: Catalogue) -> Html | None:
    """Lower bounds with their ceiling."""
    return _pivoted("epsilon", found, t)


def _pivoted(name: str, found: ReportInput, t: Catalogue) -> Html | None:
    measured = family(found, name)
    if not measured:
        return None
    metrics = list(dict.fromkeys(m.metric for m in measured))
    names = {"group": "estimator", "first": t("column.bound")}
    shown = pivot(f"{name}-values", t(f"{name}.table"), measured, metrics, t, **names)
    return join(el("p", t(f"{name}.intro")), shown)


def utility(found: ReportInput, t: Catalogue) -> Html | None:
    """What the model does on data it never saw."""
    measured = resolved(family(found, "utility"))
    if not measured:
        return None
    return join(el("p", t("utility.intro")), _value_table("utility", measured, t))


def controls(found: ReportInput, t: Catalogue) -> Html:
    """The audit's checks on itself; the sentence that comes with each is English."""
    own = found.bundle.controls
    if not own:
        return el("p", t("control.none"))
    rows = []
    for c in own:
        value = "–" if c.value is None else f"{c.value:.3f}"
        if c.value is not None and c.ci_low is not None and c.ci_high is not None:
            value = t("form.interval", value=value, low=f"{c.ci_low:.3f}", high=f"{c.ci_high:.3f}")
        result = t("control.passed" if c.passed else "control.failed")
        # A control that the catalogue does not know is explained by its own sentence.
        known = t.name("control.question", c.control)
        question = c.detail if known == c.control else known
        rows.append([t.name("control.name", c.control), result, value, question])
    headers = [t(f"column.{c}") for c in ("control", "outcome", "value", "question")]
    parts = [el("p", t("control.intro"))]
    parts.append(table("controls-table", t("control.table"), headers, rows, words=1))
    details = [f"{t.name('control.name', c.control)}: {c.detail}" for c in own if not c.passed]
    if details and t.lang == "en":
        parts.append(bullets(*details))
    drawn = [c for c in own if c.value is not None and 0 <= c.value <= 1]
    if drawn:
        values = t("form.separator").join(
            t("control.value", name=row[0], value=row[2], result=row[1]) for row in rows
        )
        svg = plots.controls_strip(drawn, t)
        parts.append(picture(svg, t("control.alt", values=values), t("control.caption")))
    return join(*parts)


def limitations(_found: ReportInput, t: Catalogue) -> Html:
    return bullets(*t.under("limitation."))


def glossary(_found: ReportInput, t: Catalogue) -> Html:
    """Terms and what they mean; the catalogue parts the two with a bar."""
    pairs = (text.split("|", 1) for text in t.under("glossary."))
    return el("dl", *(join(el("dt", term), el("dd", meaning)) for term, meaning in pairs))
