"""The other sections of a report, one function each; one without anything to show is None."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from memory_assets.memorization.per_record import MEMORIZED
from memory_assets.reports import plots
from memory_assets.reports.catalogue import Catalogue
from memory_assets.reports.extraction import secrets_planted
from memory_assets.reports.findings import Memorization, family, memorization, resolved
from memory_assets.reports.inputs import ReportInput
from memory_assets.reports.markup import Html, bullets, el, join, picture
from memory_assets.reports.tables import (
    count,
    estimate_cell,
    fixed,
    metric_label,
    pivot,
    table,
)
from memory_assets.reports.translated import translated
from memory_assets.results.estimate import Control, Measurement

_MOST_EXPOSED = 12


def _quadrant(records: Memorization, t: Catalogue) -> Html | None:
    known = np.isfinite(records.influence)
    if not known.any():
        return None
    value, influence = records.value[known], records.influence[known]
    kept = value > MEMORIZED
    useful = int((kept & (influence > 0)).sum())
    alt = t("memorization.quadrant_alt", useful=useful, leak=int(kept.sum()) - useful)
    svg = plots.quadrant(value, influence, MEMORIZED, t)
    return picture(svg, alt, t("memorization.quadrant_caption"))


def _signed(value: float) -> str:
    # Adding zero turns a rounded minus zero into zero.
    return f"{round(value, 4) + 0.0:+.4f}".replace("-", "−")


def _exposed(records: Memorization, t: Catalogue) -> Html:
    top = min(_MOST_EXPOSED, len(records.record_ids))
    known = bool(np.isfinite(records.influence[:top]).any())
    rows = []
    for i in range(top):
        value, low, high = (fixed(a[i]) for a in (records.value, records.low, records.high))
        row = [records.record_ids[i], t("form.interval", value=value, low=low, high=high)]
        if known:
            pays = records.influence[i]
            row.append(_signed(float(pays)) if np.isfinite(pays) else "–")
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
    records = memorization(found)
    # What a language model knows without shadow models stands with what it recites.
    measured = [m for m in family(found, "memorization") if m.name != "unintended"]
    if records is None and not measured:
        return None
    intro = t(f"memorization.intro_{found.bundle.audit.kind}")
    parts = [el("p", intro), _value_table("memorization", measured, t)]
    if records is not None:
        strong = int((records.value > MEMORIZED).sum())
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
        details = [t.name("estimator", m.name)] if group == "utility" else []
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
    """Each quantity by channel, with its value under shuffled membership beside it."""
    cells = {(m.stratum, m.name, m.metric): m.estimate for m in family(found, "information")}
    if not cells:
        return None
    rows = []
    for channel, name, metric in cells:
        if metric.endswith("_null"):
            continue
        estimate, null = (cells.get((channel, name, metric + end)) for end in ("", "_null"))
        shown = ["–" if e is None else estimate_cell(metric, e, t) for e in (estimate, null)]
        words = [t.name("estimator", name), t.name("stratum", channel), metric_label(metric, t)]
        rows.append([*words, *shown, count(cells[channel, name, metric].n)])
    headers = [t(f"column.{c}") for c in ("bound", "channel", "metric", "value", "null", "n")]
    return join(
        el("p", t("information.intro")),
        table("information-values", t("information.table"), headers, rows),
    )


def epsilon(found: ReportInput, t: Catalogue) -> Html | None:
    """Lower bounds with their ceiling: one row an attack and method."""
    rows = []
    for m in family(found, "epsilon"):
        kind = "ceiling" if m.metric.endswith("_ceiling") else "lower_bound"
        method = m.metric.removesuffix(f"_{kind}")
        rows.append(replace(m, metric=kind, stratum=method))
    if not rows:
        return None
    metrics = list(dict.fromkeys(m.metric for m in rows))
    names = {"group": "attack", "first": t("column.attack")}
    return join(
        el("p", t("epsilon.intro")),
        pivot("epsilon-values", t("epsilon.table"), rows, metrics, t, **names),
    )


def utility(found: ReportInput, t: Catalogue) -> Html | None:
    """What the model does on data it never saw."""
    measured = resolved(family(found, "utility"))
    if not measured:
        return None
    return join(el("p", t("utility.intro")), _value_table("utility", measured, t))


def _found_by(control: Control, t: Catalogue) -> str:
    told = t("form.gap").join(translated(control.findings, t))
    return t("control.told", name=t.name("control.name", control.control), told=told)


def controls(found: ReportInput, t: Catalogue) -> Html:
    """The audit's checks on itself, and what each of them found."""
    own = found.bundle.controls
    if not own:
        return el("p", t("control.none"))
    rows = []
    for c in own:
        value = "–" if c.value is None else f"{c.value:.3f}"
        if c.value is not None and c.ci_low is not None and c.ci_high is not None:
            value = t("form.interval", value=value, low=f"{c.ci_low:.3f}", high=f"{c.ci_high:.3f}")
        result = t("control.passed" if c.passed else "control.failed")
        # A control that the catalogue does not know is explained by what it found.
        question = t.texts.get(f"control.question.{c.control}", "–")
        rows.append([t.name("control.name", c.control), result, value, question])
    headers = [t(f"column.{c}") for c in ("control", "outcome", "value", "question")]
    parts = [el("p", t("control.intro"))]
    parts.append(table("controls-table", t("control.table"), headers, rows, words=1))
    parts += [el("h3", t("control.found")), bullets(*(_found_by(c, t) for c in own))]
    drawn = [c for c in own if c.value is not None and c.ci_low is not None]
    if drawn:
        values = t("form.separator").join(
            t("control.value", name=row[0], value=row[2], result=row[1]) for row in rows
        )
        svg = plots.controls_strip(drawn, t)
        parts.append(picture(svg, t("control.alt", values=values), t("control.caption")))
    return join(*parts)


def limitations(found: ReportInput, t: Catalogue) -> Html:
    """What holds of every audit; and that the worst record was not looked for, where it was not."""
    unplanted = [] if secrets_planted(found) else [t(f"worst.{found.bundle.audit.kind}")]
    return bullets(*unplanted, *t.under("limitation."))


def glossary(_found: ReportInput, t: Catalogue) -> Html:
    """Terms and what they mean; the catalogue parts the two with a bar."""
    pairs = (text.split("|", 1) for text in t.under("glossary."))
    return el("dl", *(join(el("dt", term), el("dd", meaning)) for term, meaning in pairs))
