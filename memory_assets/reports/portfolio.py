"""All audited models on one page: who needs attention, who leaks what, what is due."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from memory_assets.reports import plots
from memory_assets.reports.catalogue import Catalogue, catalogue
from memory_assets.reports.evidence import heat_figure
from memory_assets.reports.findings import RATES, attacks_of
from memory_assets.reports.inputs import AuditLine, PortfolioInput
from memory_assets.reports.markup import Html, el, join, picture
from memory_assets.reports.page import chapters, document, when
from memory_assets.reports.summary import SYMBOLS, verdict_key
from memory_assets.reports.tables import estimate_cell, metric_label, number, table
from memory_assets.results.metrics import rate_of
from memory_assets.store.disk import write_private

_MOST_VERSIONS = 12
_MOST_REGRESSIONS = 5


def _latest(found: PortfolioInput) -> dict[str, AuditLine]:
    return dict(sorted({audit.subject: audit for audit in found.audits}.items()))


def _metric(found: PortfolioInput) -> str:
    """The smallest false positive rate that most of the newest rows resolve."""
    latest = {(a.subject, a.model_version) for a in _latest(found).values()}
    for metric in RATES:
        rows = attacks_of(found.trend, metric)
        values = [r["value"] for r in rows if (r["subject"], r["model_version"]) in latest]
        if 2 * sum(v is not None for v in values) > len(values):
            return metric
    return RATES[-1]


def _by_subject(found: PortfolioInput, metric: str) -> dict[str, dict[tuple[str, str], dict]]:
    """Of each subject its rows by (version, attack): the newest audit, oldest version first."""
    released = {(a.subject, a.model_version): i for i, a in enumerate(found.audits)}
    by: dict[str, dict[tuple[str, str], dict]] = {}
    for row in attacks_of(found.trend, metric):
        own = by.setdefault(row["subject"], {})
        own.pop((row["model_version"], row["attack"]), None)
        own[row["model_version"], row["attack"]] = row
    return {
        subject: dict(sorted(own.items(), key=lambda i, s=subject: released.get((s, i[0][0]), -1)))
        for subject, own in by.items()
    }


def _overview(found: PortfolioInput, t: Catalogue) -> Html:
    rows = []
    for audit in _latest(found).values():
        key = verdict_key(audit.verdict)
        verdict = f"{SYMBOLS[key]} {t(f'verdict.label_{key}')}"
        rows.append([audit.subject, audit.model_version, when(audit.finished_at), verdict])
    headers = [t(f"portfolio.column.{c}") for c in ("subject", "version", "audited", "verdict")]
    links = (
        el("li", el("a", f"{a.subject} {a.model_version}", href=a.report))
        for a in _latest(found).values()
        if a.report
    )
    listed = join(*links)
    return join(
        table("overview-table", t("portfolio.overview_table"), headers, rows),
        join(el("h3", t("portfolio.column.report")), el("ul", listed)) if listed else None,
    )


def _versions(found: PortfolioInput, t: Catalogue) -> Html | None:
    """Every version of every model, folded away, the newest first."""
    if not found.audits:
        return None
    lists = []
    for subject in _latest(found):
        own = [audit for audit in reversed(found.audits) if audit.subject == subject]
        lines = (el("li", *_version_line(audit, t)) for audit in own)
        count = t("portfolio.version_count", count=len(own))
        lists.append(el("details", el("summary", f"{subject}: {count}"), el("ul", *lines)))
    return join(*lists)


def _version_line(audit: AuditLine, t: Catalogue) -> tuple[str, str]:
    key = verdict_key(audit.verdict)
    name = el("a", audit.model_version, href=audit.report) if audit.report else audit.model_version
    return name, f" {SYMBOLS[key]} {t(f'verdict.label_{key}')}, {when(audit.finished_at)}"


def _heat(found: PortfolioInput, by: dict, metric: str, t: Catalogue) -> Html | None:
    latest = {s: a.model_version for s, a in _latest(found).items() if s in by}
    cells = {(s, name): row for s in latest for (v, name), row in by[s].items() if v == latest[s]}
    attacks = sorted({name for _, name in cells})
    if not cells:
        return None
    label, chance = metric_label(metric, t), rate_of(metric) or 0.5
    rows = []
    for subject in latest:
        line = [cells.get((subject, attack)) for attack in attacks]
        rows.append([subject, *(_cell(metric, row, t) for row in line)])
    headers = [t("portfolio.column.subject"), *(t.name("attack", a) for a in attacks)]
    title = t("portfolio.figures_table", metric=label)
    return join(
        heat_figure(cells, list(latest), attacks, chance, label, "portfolio", t),
        el("h3", t("portfolio.figures")),
        table("figures-table", title, headers, rows),
    )


def _cell(metric: str, row: dict | None, t: Catalogue) -> str:
    if row is None:
        return t("status.not_run")
    if row["value"] is None or row["ci_low"] is None or row["ci_high"] is None:
        return t("status.unresolvable_note")
    shown = {k: number(metric, row[c]) for k, c in (("low", "ci_low"), ("high", "ci_high"))}
    return t("form.stacked", value=number(metric, row["value"]), **shown)


def _trends(by: dict, metric: str, t: Catalogue) -> Html | None:
    label, chance = metric_label(metric, t), rate_of(metric) or 0.5
    drawn = []
    for subject, rows in sorted(by.items()):
        versions = list(dict.fromkeys(v for v, _ in rows))[-_MOST_VERSIONS:]
        if len(versions) < 2:
            continue
        now = {n: r["value"] or 0.0 for (v, n), r in rows.items() if v == versions[-1]}
        series = [
            plots.Series(
                t.name("attack", name),
                tuple(
                    plots.Point(v, *(rows[v, name][k] for k in ("value", "ci_low", "ci_high")))
                    for v in versions
                    if (v, name) in rows
                ),
            )
            for name in sorted(now, key=lambda name: (-now[name], name))[:3]
        ]
        points = t("form.separator").join(
            t(
                "history.point",
                version=p.version,
                attack=series[0].label,
                value=number(metric, p.value),
            )
            for p in series[0].points
            if p.value is not None
        )
        alt = t("portfolio.trend_alt", metric=label, subject=subject, points=points)
        svg = plots.leakage_by_version(series, chance, label, t)
        drawn.append(join(el("h3", subject), picture(svg, alt, t("history.caption", metric=label))))
    return join(*drawn) if drawn else None


def _worse(found: PortfolioInput, t: Catalogue) -> Html:
    """The largest changes of each model, and how many more there are."""
    if not found.worse:
        return el("p", t("portfolio.regressions_none"))
    counts = Counter(r.subject for r in found.worse)
    rows = []
    for subject, count in sorted(counts.items()):
        own = [r for r in found.worse if r.subject == subject]
        for r in own[:_MOST_REGRESSIONS]:
            before, now = (
                f"{version}: {estimate_cell(r.metric, e, t, 'stacked')}"
                for version, e in ((r.previous_version, r.before), (r.version, r.now))
            )
            where = "" if r.stratum == "all" else f" ({r.stratum})"
            figure = f"{metric_label(r.metric, t)}{where}"
            rows.append([subject, t.name("attack", r.name), figure, before, now])
        if count > _MOST_REGRESSIONS:
            more = t("portfolio.more_regressions", count=count - _MOST_REGRESSIONS)
            rows.append([subject, more, "", "", ""])
    headers = [t("portfolio.column.subject"), t("portfolio.column.instrument"), t("column.metric")]
    headers += [t("portfolio.column.before"), t("portfolio.column.now")]
    return table("regression-table", t("portfolio.regression_table"), headers, rows)


def _due(found: PortfolioInput, t: Catalogue) -> Html:
    if not found.due:
        return el("p", t("portfolio.due_none"))
    rows = []
    for line in sorted(found.due, key=lambda d: (d.due, d.subject)):
        days = abs((line.due - found.as_of).days)
        late = line.due < found.as_of
        state = t("portfolio.late" if late else "portfolio.in_time", days=days)
        rows.append([line.subject, when(line.last_audit), when(line.due), state])
    headers = [t(f"portfolio.column.{c}") for c in ("subject", "last", "due", "state")]
    return table("due-table", t("portfolio.due_table"), headers, rows)


def _attention(found: PortfolioInput, t: Catalogue) -> Html:
    latest = _latest(found)
    names = {s for s, a in latest.items() if a.verdict != "pass"}
    names |= {line.subject for line in found.due if line.due < found.as_of}
    names |= {r.subject for r in found.worse}
    if not latest:
        text, state = t("portfolio.empty"), "insufficient"
    elif names:
        listed = t("form.separator").join(sorted(names))
        values = {"count": len(names), "subjects": len(latest), "names": listed}
        text, state = t("portfolio.attention", **values), "fail"
    else:
        text, state = t("portfolio.calm"), "pass"
    return el("div", el("p", text, class_="sentence"), class_=f"verdict {state}")


def render_portfolio(found: PortfolioInput, lang: str = "en") -> str:
    """The portfolio as one HTML page in `lang`; the same input gives the same text.

    Its only links lead to the reports of the audits, by the relative paths that the input gives.

    Raises:
        InputError: there is no catalogue in that language.
    """
    t, metric = catalogue(lang), _metric(found)
    by = _by_subject(found, metric)
    parts = [
        ("overview", _overview(found, t) if found.audits else None),
        ("regressions", _worse(found, t)),
        ("due", _due(found, t)),
        ("heat", _heat(found, by, metric, t)),
        ("trends", _trends(by, metric, t)),
        ("versions", _versions(found, t)),
    ]
    shown = [(name, t(f"portfolio.{name}"), body) for name, body in parts if body]
    nav, bodies = chapters(shown, t)
    counts = {
        "subjects": len(_latest(found)),
        "versions": len({(a.subject, a.model_version) for a in found.audits}),
    }
    header = el(
        "header",
        el("p", t("portfolio.kicker"), class_="kicker"),
        el("h1", t("portfolio.title")),
        el(
            "p", t("portfolio.summary", **counts), " ", t("portfolio.state", when=when(found.as_of))
        ),
    )
    main = el("main", _attention(found, t), nav, bodies)
    return document(t("portfolio.title"), lang, header, main)


def write_portfolio(
    found: PortfolioInput, folder: Path, langs: tuple[str, ...] = ("en", "ja")
) -> dict[str, Path]:
    """Write `portfolio.<lang>.html` for each language into `folder`, mode 0600.

    Raises:
        InputError: there is no catalogue in one of the languages.
    """
    pages = {lang: render_portfolio(found, lang) for lang in langs}
    return {
        lang: write_private(folder / f"portfolio.{lang}.html", page) for lang, page in pages.items()
    }
